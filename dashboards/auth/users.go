package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"borderwatch/dashboards/service"
)

// FormatUsers is the first line of a users' file.
const FormatUsers = "borderwatch/users/v1"

// User is a local user.
type User struct {
	Name  string
	Roles []service.Role
	hash  hash
}

var userName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._@-]{0,63}$`)

// ParseUsers reads a users' file. Errors name the user.
func ParseUsers(text []byte) (map[string]User, error) {
	var file struct {
		Format string `yaml:"format"`
		Users  []struct {
			Name     string   `yaml:"name"`
			Roles    []string `yaml:"roles"`
			Password string   `yaml:"password"`
		} `yaml:"users"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if file.Format != FormatUsers {
		return nil, fmt.Errorf("format is %q, want %s", file.Format, FormatUsers)
	}
	users := make(map[string]User, len(file.Users))
	for _, u := range file.Users {
		if !userName.MatchString(u.Name) {
			return nil, fmt.Errorf("user %q: a name has at most 64 letters, digits and . _ @ -", u.Name)
		}
		if _, twice := users[u.Name]; twice {
			return nil, fmt.Errorf("user %q is there twice", u.Name)
		}
		user := User{Name: u.Name}
		for _, word := range u.Roles {
			role, err := service.ParseRole(word)
			if err != nil {
				return nil, fmt.Errorf("user %q: %w", u.Name, err)
			}
			user.Roles = append(user.Roles, role)
		}
		var err error
		if user.hash, err = parseHash(u.Password); err != nil {
			return nil, fmt.Errorf("user %q: password %w", u.Name, err)
		}
		users[u.Name] = user
	}
	return users, nil
}

// UserFile is a users' file. It is read again when it changes, so that whoever is taken out is out at once; a file that
// cannot be read lets nobody in.
type UserFile struct {
	path string

	mu    sync.Mutex
	mtime time.Time
	size  int64
	users map[string]User
}

// OpenUsers reads a users' file.
func OpenUsers(path string) (*UserFile, error) {
	f := &UserFile{path: path}
	_, _, err := f.Lookup("")
	return f, err
}

// Lookup finds a user, false where there is none.
func (f *UserFile) Lookup(name string) (User, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return User{}, false, fmt.Errorf("users: %w", err)
	}
	if !info.ModTime().Equal(f.mtime) || info.Size() != f.size {
		if err := f.read(info); err != nil {
			return User{}, false, err
		}
	}
	u, ok := f.users[name]
	return u, ok, nil
}

func (f *UserFile) read(info os.FileInfo) error {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	users, err := ParseUsers(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.users, f.mtime, f.size = users, info.ModTime(), info.Size()
	return nil
}
