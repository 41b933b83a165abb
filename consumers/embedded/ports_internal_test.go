package embedded

import "testing"

// A port that an outgoing connection may take is no place for a server that is to come back.
func TestFreePortsAreNotForOutgoingConnections(t *testing.T) {
	ports, err := choosePorts(20, "test")
	if err != nil {
		t.Fatal(err)
	}
	one, err := choosePort(0, "test")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range append(ports, one) {
		if port < firstFree || port >= afterFree {
			t.Errorf("port %d is not in [%d,%d)", port, firstFree, afterFree)
		}
		seen[port] = true
	}
	if len(seen) < len(ports) {
		t.Errorf("%d ports are %d different ones", len(ports), len(seen))
	}
}
