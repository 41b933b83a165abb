package pipeline_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// greeting is more than a client of the native protocol sends before its first query, in bytes, and less than it has
// sent after that.
const greeting = 400

// proxy stands between workers and the embedded ClickHouse. That engine aborts when a connection is reset in the middle
// of its greeting, as the system does for a process that is killed then (see embedded.ClickHouse); a server that people
// run does not. The proxy keeps such connections open. A client that dies later is cut off as it would be without it.
type proxy struct {
	upstream string

	mu   sync.Mutex
	open []net.Conn // connections to the server, closed with the test
}

// listen serves until the test ends and returns the address.
func (p *proxy) listen(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.closeAll()
		running.Wait()
	})
	return listener.Addr().String()
}

func (p *proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		_ = c.Close()
	}
}

// serve joins a client with the server until one of them ends.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.open = append(p.open, server)
	p.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	if sent, _ := io.Copy(server, client); sent > greeting {
		_ = server.Close()
	}
	back.Wait()
}
