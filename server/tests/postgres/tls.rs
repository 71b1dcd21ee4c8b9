//! Connections with TLS, by certificates that the test makes.

use std::path::Path;
use std::process::Stdio;

use datum_server::postgres::PostgresStore;
use sqlx::{Connection as _, PgConnection};

use crate::cluster::{FAST, database_in, open, options};
use crate::common::running::Running;
use crate::servers::{Folder, Postgres, as_account};

const SCRIPT: &str = "set -e
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test -addext basicConstraints=critical,CA:TRUE
openssl req -newkey rsa:2048 -nodes -keyout key -out request -subj /CN=localhost
echo subjectAltName=DNS:localhost > names
openssl x509 -req -in request -CA ca.crt -CAkey ca.key -CAcreateserial -out certificate -days 2 -extfile names
chmod 600 key";

#[test]
fn a_connection_is_encrypted_and_its_certificate_is_checked() {
    // PostgreSQL's own packages need it too.
    if !Path::new("/usr/bin/openssl").exists() {
        return;
    }
    let certificates = Folder::new();
    as_account(&certificates, Path::new("sh"), &["-c", SCRIPT]);
    let at = certificates.0.display();
    let settings =
        format!("{FAST} -c ssl=on -c ssl_cert_file={at}/certificate -c ssl_key_file={at}/key");
    let Some(cluster) = Postgres::start(&settings) else {
        return;
    };
    let mut name = String::new();
    crate::common::run(async {
        name = database_in(&cluster).await;
        let url = |host: &str, more: &str| {
            let port = cluster.port;
            format!("postgres://postgres@{host}:{port}/{name}?sslmode={more}")
        };
        let full = format!("verify-full&sslrootcert={at}/ca.crt");
        open(&url("localhost", &full), &options()).await;
        open(&url("127.0.0.1", "require"), &options()).await;
        for (host, more) in [("127.0.0.1", full.as_str()), ("localhost", "verify-full")] {
            let refused = PostgresStore::open(&url(host, more), &options(), "e").await;
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("certificate"), "{said}");
        }
    });
    // All connections, also the one that listens.
    let url = cluster.url("postgres", &name);
    let running = Running::on(&["--database", &url], Stdio::null());
    running.pull();
    crate::common::run(async {
        let mut sql = PgConnection::connect(&url).await.unwrap();
        let open = "SELECT count(*) FILTER (WHERE ssl), count(*)
             FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'datum-server'";
        let (encrypted, all): (i64, i64) = sqlx::query_as(open).fetch_one(&mut sql).await.unwrap();
        assert!(all > 0 && encrypted == all, "{encrypted} of {all}");
    });
}
