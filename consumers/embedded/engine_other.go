//go:build !darwin && !linux

package embedded

func engineMain(string, []string) error { return ErrPlatform }
