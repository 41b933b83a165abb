package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// kafkaPom asks for Apache Kafka's server and all it needs.
const kafkaPom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>borderwatch</groupId>
  <artifactId>kafka-server</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>` + KafkaVersion + `</version>
    </dependency>
  </dependencies>
</project>
`

const mavenGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

const (
	kafkaWhat   = "Apache Kafka " + KafkaVersion
	kafkaAdvice = "It is needed by tests alone. Install a Java runtime of version 17 or newer and Maven, and let Maven reach its repository once."

	minJava      = 17
	mavenTimeout = 10 * time.Minute
)

// KafkaAvailable reports why a real Apache Kafka cannot be run here, or nil. It
// does not look at the network.
func KafkaAvailable() error {
	version, err := javaVersion()
	if err != nil {
		return err
	}
	if version < minJava {
		return fmt.Errorf("the java command is version %d, Apache Kafka needs %d", version, minJava)
	}
	if kafkaPiece().ready() {
		return nil
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return errors.New("the mvn command (Maven) is not installed")
	}
	return nil
}

var javaVersionRE = regexp.MustCompile(`version "(\d+)`)

func javaVersion() (int, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return 0, errors.New("the java command is not installed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("java -version: %w", err)
	}
	m := javaVersionRE.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("java -version says %q", lastLines(string(out), 1))
	}
	return strconv.Atoi(string(m[1]))
}

// kafkaLibs returns the folder with Apache Kafka's jars, resolved through Maven
// on first use (43 MB).
func kafkaLibs(ctx context.Context, out io.Writer) (string, error) {
	if err := KafkaAvailable(); err != nil {
		return "", &FetchError{What: kafkaWhat, Advice: kafkaAdvice, Err: err}
	}
	return kafkaPiece().ensure(ctx, out)
}

func kafkaPiece() piece {
	files, err := kafkaFiles()
	return piece{
		name:   "kafka_2.13-" + KafkaVersion,
		what:   kafkaWhat,
		advice: kafkaAdvice,
		files:  files,
		install: func(ctx context.Context, dir string, out io.Writer) error {
			if err != nil {
				return err
			}
			return installKafka(ctx, dir, out)
		},
	}
}

// ready reports whether the piece lies complete in the cache.
func (p piece) ready() bool {
	cache, err := CacheDir()
	return err == nil && p.intact(filepath.Join(cache, "pieces", p.name)) == nil
}

func installKafka(ctx context.Context, dir string, out io.Writer) error {
	if err := requireFree(dir, 128<<20); err != nil {
		return err
	}
	pom := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(pom, []byte(kafkaPom), 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, mavenTimeout)
	defer cancel()
	fmt.Fprintf(out, "borderwatch: resolve Apache Kafka %s with Maven (43 MB)\n", KafkaVersion)
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pom, mavenGoal, "-DoutputDirectory="+dir, "-DincludeScope=runtime")
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Run(); err != nil {
		return mavenError(ctx, err, text.String())
	}
	return nil
}

func mavenError(ctx context.Context, err error, text string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("maven stopped: %w", context.Cause(ctx))
	}
	if strings.Contains(text, "No space left") {
		return errors.New("disk full while Maven wrote")
	}
	return fmt.Errorf("maven could not resolve it: %w: %s", err, lastLines(text, 3))
}
