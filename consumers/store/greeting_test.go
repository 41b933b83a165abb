package store_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// TestSlowGreeting inserts and asks at a server that takes its time to answer a login, as a busy one does.
func TestSlowGreeting(t *testing.T) {
	server := shared(t)
	server.migrated(t, "slow_greeting")
	options := server.options("slow_greeting")
	options.Hosts = []string{slowly(t, options.Hosts[0], 800*time.Millisecond)}
	options.DialTimeout = 200 * time.Millisecond // to reach it
	attempts := 0
	options.OnRetry = func(string, int, error) { attempts++ }
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // an insert is tried again until then
	defer cancel()
	s := open(t, options)
	if err := s.Insert(ctx, filled(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
	if attempts > 0 {
		t.Errorf("%d attempts failed", attempts)
	}
}

// slowly passes connections on to a server, and its first answer on each after a pause.
func slowly(t *testing.T, server string, pause time.Duration) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(client, server, pause)
		}
	}()
	return listener.Addr().String()
}

func pass(client net.Conn, server string, pause time.Duration) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	go func() { _, _ = io.Copy(upstream, client) }()
	first := make([]byte, 4096)
	n, err := upstream.Read(first)
	if err != nil {
		return
	}
	<-time.After(pause)
	if _, err := client.Write(first[:n]); err == nil {
		_, _ = io.Copy(client, upstream)
	}
}
