// Package embedded runs the real servers that borderwatch needs on a machine
// without containers: ClickHouse, a Kafka-protocol broker and, for tests,
// Apache Kafka itself.
//
// ClickHouse comes as a shared library from a pinned npm package and runs in a
// child process: the running binary starts itself again and loads the library
// there, because the engine has its own signal handlers and may abort. So every
// program that uses this package calls [MaybeRunChild] first thing in main, and
// every test binary in TestMain (embeddedtest.Main does it).
//
// Downloaded pieces are kept in [CacheDir], verified against the sha256 sums
// compiled into this package, fetched once however many processes ask, and
// fetched again when they were damaged.
//
// Children never outlive the process that started them, not even after kill -9:
// each watches a pipe whose other end only the parent holds. They run in their
// own process group, so Ctrl-C reaches the parent alone, which then stops them in
// its own order.
package embedded
