// A plug-in with dependencies of its own.
package main

import (
	"github.com/goodsign/monday"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"time"
)

func Greet() string {
	return cases.Title(language.French).String(monday.Format(time.Unix(0, 0), "Monday", monday.LocaleFrFR))
}

func main() {}
