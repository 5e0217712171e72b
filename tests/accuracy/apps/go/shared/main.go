// A library in Go for programs of other languages.
package main

import "C"

import (
	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

//export Digest
func Digest(text *C.char) C.ulonglong {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return C.ulonglong(xxhash.Sum64(encoder.EncodeAll([]byte(C.GoString(text)), nil)))
}

func main() {}
