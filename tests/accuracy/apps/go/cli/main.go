// A command line tool that stays. go.mod requires what it imports for a constant or never calls: no code of it is linked.
package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/fatih/color"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/viper"
	"go.uber.org/atomic"
	"gopkg.in/inf.v0"
)

// Never called, so the linker drops it and all that only it needs.
func unused() string {
	return atomic.NewInt64(1).String() + new(inf.Dec).String()
}

func main() {
	viper.SetConfigType("yaml")
	root := &cobra.Command{Use: "tool", Run: func(*cobra.Command, []string) {
		var decoded map[string]string
		_, err := toml.Decode(`name = "tool"`, &decoded)
		color.New(color.FgGreen).Println("configured", viper.ReadConfig(strings.NewReader("a: 1")), err)
		fmt.Println("READY", decoded["name"], specs.MediaTypeImageManifest, digest.FromString("x"))
		time.Sleep(1000 * time.Hour) // not `select {}`: the runtime would call it a deadlock
	}}
	if err := root.Execute(); err != nil {
		panic(err)
	}
}
