//go:build noembedded || !(darwin || linux)

package embedded

import "fmt"

// The tag noembedded leaves the engine's loader out: with it a program is dynamically linked, and does not start in an
// image without a C library.
func engineMain(string, []string) error {
	return fmt.Errorf("%w, or this program was built without it", ErrPlatform)
}
