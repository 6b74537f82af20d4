// A server of grpc-go that does what the requests say (tests/interop/interop_test.cpp); bytes in, bytes out.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type raw struct{}

func (raw) Name() string                       { return "proto" }
func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = append([]byte(nil), data...); return nil }

var server *grpc.Server

func handle(_ any, stream grpc.ServerStream) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	reply := request
	if method, _ := grpc.MethodFromServerStream(stream); method == "/norikv.v1.Meta/WatchCluster" {
		for epoch := byte(1); epoch <= 3; epoch++ {
			view := []byte{8, epoch}
			if err := stream.SendMsg(&view); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case bytes.HasPrefix(request, []byte("fail")):
		stream.SetTrailer(metadata.Pairs("leader-hint", "1.2.3.4:5"))
		return status.Error(codes.Unavailable, "NOT_LEADER: 100% \u00fc")
	case bytes.HasPrefix(request, []byte("large")):
		reply = bytes.Repeat([]byte("x"), 1024*1024)
	case bytes.HasPrefix(request, []byte("metadata")):
		sent, _ := metadata.FromIncomingContext(stream.Context())
		reply = []byte(sent.Get("x-own")[0])
	case bytes.HasPrefix(request, []byte("hang")):
		<-stream.Context().Done()
		return stream.Context().Err()
	case bytes.HasPrefix(request, []byte("stop")):
		reply = nil
		go server.GracefulStop()
	}
	return stream.SendMsg(&reply)
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server = grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(handle),
		grpc.MaxConcurrentStreams(100), grpc.MaxRecvMsgSize(1<<30))
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.ReadAll(os.Stdin)
		os.Exit(0)
	}()
	if err := server.Serve(listener); err != nil {
		panic(err)
	}
}
