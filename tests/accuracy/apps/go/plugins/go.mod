module example.com/plugins

go 1.22

require (
	github.com/goodsign/monday v1.0.2
	github.com/hashicorp/go-version v1.7.0
	golang.org/x/text v0.17.0
)
