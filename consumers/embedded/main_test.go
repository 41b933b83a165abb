package embedded_test

import (
	"testing"

	"borderwatch/consumers/embedded/embeddedtest"
)

func TestMain(m *testing.M) { embeddedtest.Main(m) }
