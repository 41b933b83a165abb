package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// loopback is the only address the embedded servers listen on.
const loopback = "127.0.0.1"

// PortInUseError says that a configured port is taken.
type PortInUseError struct {
	Port int
	What string // "ClickHouse native", "ClickHouse HTTP", "broker"
}

func (e *PortInUseError) Error() string {
	return fmt.Sprintf("port %d on %s, wanted for %s, is in use by another program: stop that, or choose another port", e.Port, loopback, e.What)
}

// Free ports are taken from below those that systems give to outgoing connections (from 32768 on with Linux, 49152
// elsewhere). One of those may be gone again between the look and the server's start, and whenever a server that was
// killed is to come back.
const (
	firstFree = 20_000
	afterFree = 32_768
	freeTries = 200
)

// listenFree listens on any free port.
func listenFree() (net.Listener, error) {
	for range freeTries {
		if ln, err := net.Listen("tcp", hostPort(firstFree+rand.IntN(afterFree-firstFree))); err == nil {
			return ln, nil
		}
	}
	return net.Listen("tcp", hostPort(0))
}

func listen(port int) (net.Listener, error) {
	if port == 0 {
		return listenFree()
	}
	return net.Listen("tcp", hostPort(port))
}

// choosePort returns port after a look whether it is free, or any free one for 0.
func choosePort(port int, what string) (int, error) {
	ln, err := listen(port)
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, &PortInUseError{Port: port, What: what}
	}
	if err != nil {
		return 0, fmt.Errorf("%s port %d: %w", what, port, err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// choosePorts returns n different free ports.
func choosePorts(n int, what string) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		ln, err := listenFree()
		if err != nil {
			return nil, fmt.Errorf("%s port: %w", what, err)
		}
		defer ln.Close() // all stay open until the last is chosen, or they could be the same
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func hostPort(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
