// C code of its own, the C library's resolver, and a package whose only function is inlined everywhere.
package main

/*
#include <math.h>
#cgo LDFLAGS: -lm
static double root(double value) { return sqrt(value); }
*/
import "C"

import (
	"fmt"
	"net"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/mattn/go-pointer"
	"github.com/miekg/dns"
	"golang.org/x/exp/constraints"
	"k8s.io/utils/ptr"
)

func larger[T constraints.Ordered](one, other T) T {
	return max(one, other)
}

func main() {
	handle := pointer.Save("kept")
	addresses, err := net.LookupHost("localhost")
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn("example.com"), dns.TypeA)
	fmt.Println("READY", C.root(2), addresses, err, isatty.IsTerminal(1), larger(len(query.Question), *ptr.To(0)))
	pointer.Unref(handle)
	for {
		time.Sleep(time.Hour)
	}
}
