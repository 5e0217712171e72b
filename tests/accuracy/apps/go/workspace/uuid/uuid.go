// Package uuid stands in for a dependency that was patched locally.
package uuid

// New is not random at all.
func New() string {
	identifier := make([]byte, 0, 36)
	for position := range 36 {
		identifier = append(identifier, "0123456789abcdef"[position%16])
	}
	return string(identifier)
}
