module example.com/service

go 1.22

require (
	example.com/lib v0.0.0
	github.com/gofrs/uuid v4.4.0+incompatible
	github.com/pkg/errors v0.9.1
	github.com/sirupsen/logrus v1.9.3
)

require (
	golang.org/x/sys v0.0.0-20220715151400-c0bba94af5f8 // indirect
	gopkg.in/yaml.v2 v2.4.0 // indirect
)

replace (
	example.com/lib => ../lib
	github.com/gofrs/uuid => ../uuid
	github.com/pkg/errors => github.com/pkg/errors v0.9.0
	gopkg.in/yaml.v2 => github.com/go-yaml/yaml v2.1.0+incompatible
)
