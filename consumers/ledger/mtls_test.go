package ledger_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"borderwatch/consumers/ledger"
)

// selfSigned returns a certificate that is its own authority.
func selfSigned(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestClientCertificates runs the server on TLS: a worker with a certificate
// may append, anyone may read the checkpoint.
func TestClientCertificates(t *testing.T) {
	serverCert, serverPool := selfSigned(t, "ledger")
	workerCert, workerPool := selfSigned(t, "worker")
	s, err := ledger.NewServer(open(t, t.TempDir()), ledger.ServerOptions{TLS: &tls.Config{
		Certificates: []tls.Certificate{serverCert},
		ClientCAs:    workerPool,
		ClientAuth:   tls.VerifyClientCertIfGiven,
	}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()

	dial := func(certs ...tls.Certificate) *ledger.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: serverPool, Certificates: certs}}
		t.Cleanup(transport.CloseIdleConnections)
		c, err := ledger.NewClient("https://"+ln.Addr().String(), ledger.ClientOptions{
			HTTP: &http.Client{Transport: transport}, Attempts: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	mustAppend(t, dial(workerCert), batch(0, 0, 9, -1))
	stranger := dial()
	if _, err := stranger.Append(t.Context(), batch(0, 10, 19, 0)); !errors.Is(err, ledger.ErrUnauthorized) {
		t.Errorf("without certificate: error %v, want ErrUnauthorized", err)
	}
	if _, err := stranger.Checkpoint(t.Context()); err != nil {
		t.Errorf("checkpoint without certificate: %v", err)
	}
	if _, err := dial(serverCert).Append(t.Context(), batch(0, 10, 19, 0)); err == nil {
		t.Error("a certificate of another authority was accepted")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
