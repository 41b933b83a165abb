package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"borderwatch/consumers/embedded"
)

func main() {
	embedded.MaybeRunChild()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ch := embedded.NewClickHouse(embedded.ClickHouseConfig{Dir: "/var/tmp/bwstore", TCPPort: 29000, HTTPPort: 28123,
		Users: []embedded.User{{Name: "bw", Password: "x", Admin: true}}})
	if err := ch.Start(ctx); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("up", ch.PID())
	<-ctx.Done()
	fmt.Println(ch.Stop(context.Background()))
}
