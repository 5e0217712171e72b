// SPDX-License-Identifier: Apache-2.0

// Kubernetes' own cmd/kube-apiserver. A main package here lets our go.mod choose the versions: a go.mod of
// k8s.io/kubernetes points at its staging folders, which no module contains.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
