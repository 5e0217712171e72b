module example.com/shared

go 1.22

require (
	github.com/cespare/xxhash/v2 v2.3.0
	github.com/klauspost/compress v1.17.9
)
