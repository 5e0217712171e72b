// A gRPC server with health and reflection, built with -trimpath.
package main

import (
	"fmt"
	"net"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

func main() {
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(recovery.UnaryServerInterceptor()))
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	value, err := structpb.NewStruct(map[string]any{"ready": true})
	if err != nil {
		panic(err)
	}
	text, _ := protojson.Marshal(value)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("READY", string(text))
	panic(server.Serve(listener))
}
