// Package lib is another module of the same workspace.
package lib

import "gopkg.in/yaml.v2"

// Marshal is here for what it links.
func Marshal(value any) string {
	text, err := yaml.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
