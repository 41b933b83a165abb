package decode

import (
	"strings"
	"testing"
)

func TestOperationTables(t *testing.T) {
	tests := []struct {
		table         *operations
		service, name string
		want          string // action and whether it touches user data, "" where it is not listed
	}{
		{awsOperations(), "s3", "GetObject", "read data"},
		{awsOperations(), "s3", "GetBucketPolicy", "view"},
		{awsOperations(), "s3", "PutBucketPolicy", "grant data"}, // an exact name goes before PutBucket*
		{awsOperations(), "s3", "PutBucketTagging", "admin"},
		{awsOperations(), "kms", "Decrypt", "decrypt data"},
		{awsOperations(), "kms", "GenerateDataKeyWithoutPlaintext", "other"},
		{awsOperations(), "iam", "CreateUser", "admin"},
		{awsOperations(), "iam", "ListUsers", "list"},
		{awsOperations(), "ec2", "DescribeInstances", "view"},
		{awsOperations(), "ec2", "CreateSomethingNew", ""},
		{awsOperations(), "somethingnew", "DescribeThings", ""},
		{gcpOperations(), "storage", "storage.objects.get", "read data"},
		{gcpOperations(), "storage", "storage.buckets.update", "admin"},
		{gcpOperations(), "compute", "beta.compute.instances.insert", "admin"},
		{gcpOperations(), "compute", "v1.compute.disks.setIamPolicy", "grant data"},
		{gcpOperations(), "compute", "v1.compute.urlMaps.get", "view"},
		{gcpOperations(), "iam", "google.iam.admin.v1.ListRoles", "list"},
		{gcpOperations(), "somethingnew", "x.Get", ""},
	}
	for _, tt := range tests {
		got := ""
		if op := tt.table.find(tt.service, tt.name); op != nil {
			got = op.action.String()
			if op.data {
				got += " data"
			}
		}
		if got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.service, tt.name, got, tt.want)
		}
	}
}

func TestOperationTableMistakes(t *testing.T) {
	tests := []struct{ text, want string }{
		{"# nothing\n\ns3 GetObject read", "line 3: want 4 or 5 columns"},
		{"s3 GetObject peek none", `"peek" is no action`},
		{"s3 A,B read x\ns3 B read y", "line 2: s3 B is listed twice"},
	}
	for _, tt := range tests {
		if _, err := readOperations(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.want)
		}
	}
}

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"Get*", "GetObject", true}, {"Get*", "get", false}, {"*.get", "a.b.get", true}, {"*.get", "a.get.b", false},
		{"*a*b*", "xxaxxbxx", true}, {"*a*b*", "xxbxxaxx", false}, {"*", "", true}, {"a*a", "a", false}, {"a*a", "aa", true},
	}
	for _, tt := range tests {
		if got := glob(tt.pattern, tt.name); got != tt.want {
			t.Errorf("glob(%q, %q) = %v", tt.pattern, tt.name, got)
		}
	}
}

func TestAWSNames(t *testing.T) {
	tests := []struct{ name, want string }{
		{"profiles", "profiles"},
		{"arn:aws:s3:::profiles/a/b", "profiles"},
		{"arn:aws:secretsmanager:eu-west-1:111122223333:secret:team/db-AbCdEf", "team/db"},
		{"arn:aws:dynamodb:eu-west-1:111122223333:table/orders/stream/2026", "orders"},
		{"arn:aws:rds:eu-west-1:111122223333:snapshot:orders-1", "orders-1"},
		{"arn:aws:kms:eu-west-1:111122223333:key/0-1", "key/0-1"},
		{"arn:aws:sns:eu-west-1:111122223333:topic", "topic"},
		{"https://sqs.eu-west-1.amazonaws.com/111122223333/jobs", "jobs"},
		{"s3://profiles/a", "profiles"},
		{"arn:short", "arn:short"},
	}
	for _, tt := range tests {
		if got := awsName(tt.name); got != tt.want {
			t.Errorf("awsName(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}
