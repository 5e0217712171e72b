// Prints the import paths with code in a Go program, as its symbol table and its DWARF tell. The program
// must have both: of a stripped one, that is a twin built with the same flags but -s -w.
//
// A package has code there if a symbol of the text is named after it, or if a function of it was inlined
// into one that the linker kept: those have no symbol, and their package may have no compile unit.
package main

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"net/url"
	"os"
	"sort"
	"strings"
)

const goLanguage = 0x16 // DW_LANG_Go

func main() {
	file, err := elf.Open(os.Args[1])
	check(err)
	symbols, err := file.Symbols()
	check(err)
	data, err := file.DWARF()
	check(err)
	units, inlined := walk(data)
	linked := map[string]string{}
	for name := range inlined {
		linked[packageOf(name, units)] = "inlined"
	}
	for _, symbol := range symbols {
		if elf.ST_TYPE(symbol.Info) == elf.STT_FUNC && symbol.Section != elf.SHN_UNDEF {
			linked[packageOf(symbol.Name, units)] = "symbol"
		}
	}
	delete(linked, "")
	lines := []string{}
	for path, how := range linked {
		lines = append(lines, path+" "+how)
	}
	sort.Strings(lines)
	fmt.Println(strings.Join(lines, "\n"))
}

// walk returns the packages that have a compile unit, as symbols are named after them, and the names of
// functions that were inlined somewhere.
func walk(data *dwarf.Data) (map[string]string, map[string]bool) {
	units := map[string]string{}
	names := map[dwarf.Offset]string{}
	origins := map[dwarf.Offset]bool{}
	for reader := data.Reader(); ; {
		entry, err := reader.Next()
		check(err)
		if entry == nil {
			break
		}
		switch entry.Tag {
		case dwarf.TagCompileUnit:
			if language, _ := entry.Val(dwarf.AttrLanguage).(int64); language == goLanguage {
				path, _ := entry.Val(dwarf.AttrName).(string)
				units[escaped(path)] = path
			}
		case dwarf.TagSubprogram:
			names[entry.Offset], _ = entry.Val(dwarf.AttrName).(string)
		case dwarf.TagInlinedSubroutine:
			if origin, ok := entry.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); ok {
				origins[origin] = true
			}
		}
	}
	inlined := map[string]bool{}
	for origin := range origins {
		inlined[names[origin]] = true
	}
	return units, inlined
}

// packageOf returns the longest package with a compile unit that the name can be of. Without one, it is
// what precedes the first dot after the last slash, type arguments and receiver aside.
func packageOf(name string, units map[string]string) string {
	if end := strings.IndexAny(name, "[("); end >= 0 {
		name = name[:end]
	}
	for end := len(name); end > 0; end = strings.LastIndex(name[:end], ".") {
		if path, ok := units[name[:end]]; ok {
			return path
		}
	}
	if strings.HasPrefix(name, "type:") || strings.HasPrefix(name, "go:") {
		return ""
	}
	slash := strings.LastIndex(name, "/") + 1
	dot := strings.Index(name[slash:], ".")
	path, err := url.PathUnescape(name[:slash+max(dot, 0)])
	check(err)
	return path
}

// escaped is what the linker makes of an import path: cmd/internal/objabi.PathToPrefix.
func escaped(path string) string {
	slash := strings.LastIndex(path, "/")
	return path[:slash+1] + strings.ReplaceAll(path[slash+1:], ".", "%2e")
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
