// SPDX-License-Identifier: Apache-2.0

// A program that carries a module of somebody else's, and stays.
package main

import (
	"time"

	"github.com/spf13/pflag"
)

func main() {
	wait := pflag.Duration("wait", 24*time.Hour, "how long to stay")
	pflag.Parse()
	time.Sleep(*wait)
}
