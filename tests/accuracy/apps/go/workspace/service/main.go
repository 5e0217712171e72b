// A service of a monorepo: one dependency replaced by a folder, one by a fork, one by another version.
package main

import (
	"fmt"
	"time"

	"example.com/lib"
	"github.com/gofrs/uuid"
	"github.com/pkg/errors"
	"github.com/sirupsen/logrus"
)

func main() {
	logrus.WithError(errors.New("none")).Info("start")
	fmt.Println("READY", lib.Marshal(map[string]string{"id": uuid.New()}))
	for {
		time.Sleep(time.Hour)
	}
}
