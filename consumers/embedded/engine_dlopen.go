//go:build !noembedded && (darwin || linux)

package embedded

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// loadsEngine says whether this program can load a libchdb library.
const loadsEngine = true

// engineMain loads the engine and runs its command line until that returns.
// Argument strings are handed over as C strings and stay alive meanwhile.
func engineMain(library string, args []string) error {
	lib, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("load %s: %w", library, err)
	}
	var (
		queryCmdline func(argc int32, argv unsafe.Pointer) uintptr
		resultError  func(result uintptr) string
	)
	purego.RegisterLibFunc(&queryCmdline, lib, "chdb_query_cmdline")
	purego.RegisterLibFunc(&resultError, lib, "chdb_result_error")
	argv := make([]*byte, 0, len(args)+1)
	for _, a := range args {
		argv = append(argv, &append([]byte(a), 0)[0])
	}
	argv = append(argv, nil)
	result := queryCmdline(int32(len(args)), unsafe.Pointer(&argv[0]))
	runtime.KeepAlive(argv)
	if result == 0 {
		return errEngine
	}
	if msg := resultError(result); msg != "" {
		return fmt.Errorf("%w: %s", errEngine, msg)
	}
	return nil
}
