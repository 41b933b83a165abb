package main

import (
	"context"
	"fmt"
	"os"

	ck "github.com/ClickHouse/clickhouse-go/v2"

	"borderwatch/schemas/clickhouse"
)

func main() {
	conn, err := ck.Open(&ck.Options{Addr: []string{"127.0.0.1:29000"}, Auth: ck.Auth{Username: "bw", Password: "x"}})
	if err != nil {
		panic(err)
	}
	if len(os.Args) > 1 {
		conn.Exec(context.Background(), "DROP DATABASE bw")
	}
	fmt.Println(clickhouse.Migrate(context.Background(), conn, clickhouse.Options{}))
	for _, s := range clickhouse.RoleStatements(clickhouse.Layout{Cluster: "main"}) {
		var f []struct{ F string `ch:"f"` }
		if err := conn.Select(context.Background(), &f, "SELECT formatQuery($1) AS f", s); err != nil {
			fmt.Println(s, err)
		}
	}
}
