package main

import (
	"fmt"
	"io"
	"net"
	"net/http"

	corazahttp "github.com/corazawaf/coraza/v3/http"
)

// serve answers every request that Coraza lets through with a line, and says where on standard output.
func serve(directives string) error {
	waf, err := load(directives, nil)
	if err != nil {
		return err
	}
	fine := http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		_, _ = io.Copy(io.Discard, request.Body)
		writer.Header().Set("content-type", "text/plain")
		_, _ = io.WriteString(writer, "fine\n")
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	return http.Serve(listener, corazahttp.WrapHandler(waf, fine))
}
