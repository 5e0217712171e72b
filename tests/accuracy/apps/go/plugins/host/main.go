// Loads a plug-in a moment after its start, by name.
package main

import (
	"fmt"
	"os"
	"plugin"
	"time"

	"github.com/hashicorp/go-version"
)

func main() {
	fmt.Println("host", version.Must(version.NewVersion("1.2.3")))
	time.Sleep(time.Second)
	loaded, err := plugin.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	greet, err := loaded.Lookup("Greet")
	if err != nil {
		panic(err)
	}
	fmt.Println("READY", greet.(func() string)())
	for {
		time.Sleep(time.Hour) // not `select {}`: the runtime would call it a deadlock
	}
}
