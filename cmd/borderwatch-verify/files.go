package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// files are the public files of the log, by their C2SP names. A file that is not there is fs.ErrNotExist.
type files interface {
	read(ctx context.Context, name string, most int64) ([]byte, error)
}

// openFiles takes a folder or the address under which the ledger serves its files.
func openFiles(place string) (files, error) {
	if !strings.HasPrefix(place, "https://") && !strings.HasPrefix(place, "http://") {
		return folder(place), nil
	}
	base, err := url.Parse(place)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return &site{base: base, client: &http.Client{Timeout: time.Minute}}, nil
}

type folder string

func (f folder) read(_ context.Context, name string, most int64) ([]byte, error) {
	file, err := os.Open(filepath.Join(string(f), filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readLimited(file, name, most)
}

type site struct {
	base   *url.URL
	client *http.Client
}

func (s *site) read(ctx context.Context, name string, most int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base.JoinPath(name).String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		return readLimited(answer.Body, name, most)
	case http.StatusNotFound, http.StatusGone:
		return nil, fmt.Errorf("%s: %w", request.URL, fs.ErrNotExist)
	}
	return nil, fmt.Errorf("%s: %s", request.URL, answer.Status)
}

func readLimited(r io.Reader, name string, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s: over %d bytes", name, most)
	}
	return data, err
}
