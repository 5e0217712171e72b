module example.com/native

go 1.22

require (
	github.com/mattn/go-isatty v0.0.20
	github.com/mattn/go-pointer v0.0.1
	github.com/miekg/dns v1.1.62
	golang.org/x/exp v0.0.0-20240823005443-9b4947da3948
	k8s.io/utils v0.0.0-20240711033017-18e509b52bc8
)

require (
	golang.org/x/mod v0.20.0 // indirect
	golang.org/x/net v0.28.0 // indirect
	golang.org/x/sync v0.8.0 // indirect
	golang.org/x/sys v0.23.0 // indirect
	golang.org/x/tools v0.24.0 // indirect
)
