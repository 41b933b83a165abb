//go:build noembedded || !(darwin || linux)

package embedded

import "fmt"

// loadsEngine says whether this program can load a libchdb library.
const loadsEngine = false

// The tag noembedded leaves the engine's loader out: with it a program is dynamically linked, and does not start in an
// image without a C library.
func engineMain(string, []string) error {
	return fmt.Errorf("%w, or this program was built without it", ErrPlatform)
}
