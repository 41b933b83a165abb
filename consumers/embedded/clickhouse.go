package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

const (
	// startTimeout bounds one start, the reading of all tables included.
	startTimeout = 90 * time.Second
	// stopTimeout bounds a stop whose context has no deadline.
	stopTimeout = 30 * time.Second
	// minFree is the room a start asks for on the disk of the data directory.
	minFree = 512 << 20

	defaultMaxMemory = 3 << 30

	supervisorName = "borderwatch_supervisor"
)

// ClickHouseConfig describes an embedded ClickHouse. The zero value serves on
// free ports with its data below CacheDir and nobody who may log in.
type ClickHouseConfig struct {
	Dir      string // data, configuration and logs; default CacheDir()/up/clickhouse
	TCPPort  int    // native protocol; 0 picks a free one
	HTTPPort int    // 0 picks a free one
	Users    []User
	// MaxMemory is the server's limit in bytes; default 3 GiB. Queries beyond
	// it fail with code 241.
	MaxMemory int64
	// Library is the path of libchdb; default ClickHouseLibrary.
	Library string
	// Progress receives the progress of a first download; default os.Stderr.
	Progress io.Writer
	Logger   *slog.Logger // default slog.Default()
}

// ClickHouse is a ClickHouse server in a child process. It listens on
// 127.0.0.1 only and has no interserver port, so no replication. Its data
// survives kill -9; system.query_log begins anew with every server process.
//
// The native port ends the server process, which takes about 3 s over it, at a
// failed login, at anything but its protocol, and when a connection is reset
// before its greeting has ended, as that of a client that is killed then: faults
// of the engine that a production server does not have. [ClickHouse.Run] starts
// it again. Probe it over HTTP.
type ClickHouse struct {
	cfg        ClickHouseConfig
	supervisor User
	log        *slog.Logger

	mu   sync.Mutex
	lock *flock.Flock // held between Start and Stop
	proc *process     // the current child
}

// NewClickHouse returns a server that is not started.
func NewClickHouse(cfg ClickHouseConfig) *ClickHouse {
	if cfg.MaxMemory == 0 {
		cfg.MaxMemory = defaultMaxMemory
	}
	if cfg.Progress == nil {
		cfg.Progress = os.Stderr
	}
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	supervisor := User{
		Name:     supervisorName,
		Password: rand.Text(),
		Grants:   []string{"GRANT KILL QUERY ON *.*", "GRANT SELECT ON system.processes"},
	}
	return &ClickHouse{cfg: cfg, supervisor: supervisor, log: log.With("server", "clickhouse")}
}

// Start fetches the engine if need be, starts the server and returns when it
// answers a login on both ports. Errors: *FetchError, *DirInUseError,
// *PortInUseError, *DiskFullError, *ChildExitError.
func (c *ClickHouse) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lock != nil {
		return errors.New("ClickHouse is started already")
	}
	if err := c.prepare(ctx); err != nil {
		return fmt.Errorf("start ClickHouse: %w", err)
	}
	if err := c.launch(ctx); err != nil {
		c.unlock()
		return fmt.Errorf("start ClickHouse: %w", err)
	}
	return nil
}

// prepare fixes directory, library and ports, and takes the directory's lock.
func (c *ClickHouse) prepare(ctx context.Context) (err error) {
	if err := validateUsers(c.cfg.Users); err != nil {
		return err
	}
	if c.cfg.Dir, err = dataDir(c.cfg.Dir, "clickhouse"); err != nil {
		return err
	}
	lock, err := lockDir(c.cfg.Dir, "ClickHouse")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Unlock())
		}
	}()
	if c.cfg.Library == "" {
		if c.cfg.Library, err = ClickHouseLibrary(ctx, c.cfg.Progress); err != nil {
			return err
		}
	}
	if err := requireFree(c.cfg.Dir, minFree); err != nil {
		return err
	}
	if err := c.choosePorts(); err != nil {
		return err
	}
	c.lock = lock
	return nil
}

func (c *ClickHouse) choosePorts() error {
	tcp, err := choosePort(c.cfg.TCPPort, "ClickHouse native")
	if err != nil {
		return err
	}
	http, err := choosePort(c.cfg.HTTPPort, "ClickHouse HTTP")
	if err != nil {
		return err
	}
	if tcp == http {
		return fmt.Errorf("ClickHouse native and HTTP cannot share port %d", tcp)
	}
	c.cfg.TCPPort, c.cfg.HTTPPort = tcp, http
	return nil
}

// dataDir returns an absolute path for dir, by default name below CacheDir()/up.
func dataDir(dir, name string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "up", name), nil
}

// launch starts a child and waits until it serves.
func (c *ClickHouse) launch(ctx context.Context) error {
	if err := requireFree(c.cfg.Dir, minFree); err != nil {
		return err
	}
	data := filepath.Join(c.cfg.Dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	users := append([]User{c.supervisor}, c.cfg.Users...)
	config, err := writeConfig(c.cfg.Dir, configData{
		DataDir: data, TCPPort: c.cfg.TCPPort, HTTPPort: c.cfg.HTTPPort, MaxMemory: c.cfg.MaxMemory,
	}, users)
	if err != nil {
		return err
	}
	spec := filepath.Join(c.cfg.Dir, "child.json")
	if err := writeSpec(spec, clickHouseSpec{
		Library: c.cfg.Library, DataDir: data, ConfigFile: config, TCPPort: c.cfg.TCPPort, HTTPPort: c.cfg.HTTPPort,
		User: c.supervisor.Name, Password: c.supervisor.Password,
	}); err != nil {
		return err
	}
	proc, err := startChild(filepath.Join(c.cfg.Dir, "clickhouse.log"), kindClickHouse, spec)
	if err != nil {
		return err
	}
	if err := c.awaitReady(ctx, proc); err != nil {
		proc.kill()
		return err
	}
	c.proc = proc
	return nil
}

// Stop ends the server in good order and waits for it. Data of acknowledged
// inserts is safe either way. A server that does not stop in time
// is killed, which the error then says.
func (c *ClickHouse) Stop(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lock == nil {
		return nil
	}
	defer c.unlock()
	proc := c.proc
	c.proc = nil
	if proc == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := proc.stop(ctx); err != nil {
		return fmt.Errorf("ClickHouse %w", err)
	}
	return nil
}

func (c *ClickHouse) unlock() {
	if err := c.lock.Unlock(); err != nil {
		c.log.Warn("data directory not unlocked", "dir", c.cfg.Dir, "err", err)
	}
	c.lock = nil
}

// Kill ends the server process as kill -9 does, for tests of what then happens.
func (c *ClickHouse) Kill() {
	if p := c.current(); p != nil {
		p.kill()
	}
}

func (c *ClickHouse) current() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.proc
}

// Addr returns host:port of the native protocol, known after Start and kept over
// restarts.
func (c *ClickHouse) Addr() string { return hostPort(c.cfg.TCPPort) }

// HTTPAddr returns host:port of the HTTP interface.
func (c *ClickHouse) HTTPAddr() string { return hostPort(c.cfg.HTTPPort) }

// Dir returns the directory with data, configuration and log.
func (c *ClickHouse) Dir() string { return c.cfg.Dir }

// PID returns the process id of the server, 0 when there is none.
func (c *ClickHouse) PID() int {
	p := c.current()
	if p == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Done is closed when the present server process ends, for whatever reason. It
// is nil while there is none. Callers of Run need not look.
func (c *ClickHouse) Done() <-chan struct{} {
	if p := c.current(); p != nil {
		return p.done
	}
	return nil
}
