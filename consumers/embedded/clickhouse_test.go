package embedded_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"borderwatch/consumers/embedded"
)

func TestMain(m *testing.M) {
	embedded.MaybeRunChild()
	os.Exit(m.Run())
}

func TestProbe(t *testing.T) {
	t0 := time.Now()
	ch := embedded.NewClickHouse(embedded.ClickHouseConfig{Users: []embedded.User{{Name: "bw", Password: "x", Admin: true}}})
	if err := ch.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	fmt.Println("started", time.Since(t0), ch.Addr(), ch.HTTPAddr())
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", ch.PID()))
	fmt.Println(string(b))
	if os.Getenv("HOLD") != "" {
		time.Sleep(60 * time.Second)
	}
	t0 = time.Now()
	if err := ch.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	fmt.Println("stopped", time.Since(t0))
}
