// A web service: gin over gorm and pgx, with a cache behind generics.
package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/shopspring/decimal"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

type Order struct {
	ID    string `json:"id" binding:"required"`
	Total string `json:"total"`
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	orders, err := lru.New[string, Order](64)
	if err != nil {
		panic(err)
	}
	router := gin.New()
	router.Use(gin.Recovery(), cors.Default())
	router.GET("/orders", func(c *gin.Context) {
		order := Order{ID: uuid.NewString(), Total: decimal.New(1999, -2).Mul(decimal.New(3, 0)).String()}
		orders.Add(order.ID, order)
		c.JSON(http.StatusOK, orders.Values())
	})
	// There is no database: the driver and its pool are code all the same.
	_, err = gorm.Open(postgres.Open("host=127.0.0.1 port=1 user=x dbname=x connect_timeout=1"), &gorm.Config{})
	answer := httptest.NewRecorder()
	router.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/orders", nil))
	fmt.Println("READY", answer.Code, err != nil)
	panic(router.Run("127.0.0.1:0"))
}
