package decode

import "strings"

// awsName is the name by which a catalogue knows a data set: of an ARN, a queue's URL, an S3 URL or a copy source the
// bucket, table, secret or queue, never an object's key.
func awsName(name string) string {
	switch {
	case strings.HasPrefix(name, "arn:"):
		return arnName(name)
	case strings.HasPrefix(name, "s3://"):
		bucket, _, _ := strings.Cut(name[len("s3://"):], "/")
		return bucket
	case strings.HasPrefix(name, "https://") && strings.Contains(name, "sqs"):
		return name[strings.LastIndexByte(name, '/')+1:]
	}
	return name
}

// copySourceMember names the source of an S3 copy.
const copySourceMember = "x-amz-copy-source"

// copySource is the bucket of an S3 copy's source: "bucket/key", with or without a slash before it.
func copySource(source string) string {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(source, "/"), "/")
	return bucket
}

// arnName takes the name out of arn:partition:service:region:account:resource.
func arnName(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return arn
	}
	resource := parts[5]
	switch parts[2] {
	case "s3":
		bucket, _, _ := strings.Cut(resource, "/")
		return bucket
	case "secretsmanager": // secret:NAME-AbCdEf
		name := strings.TrimPrefix(resource, "secret:")
		if n := len(name) - 7; n > 0 && name[n] == '-' {
			return name[:n]
		}
		return name
	case "dynamodb": // table/NAME/stream/…
		if _, rest, ok := strings.Cut(resource, "/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			return name
		}
	case "kms":
		return resource
	}
	if _, rest, ok := strings.Cut(resource, "/"); ok {
		return rest
	}
	if _, rest, ok := strings.Cut(resource, ":"); ok {
		return rest
	}
	return resource
}
