//! nginx as the measure of all proxies. Knows a configuration which asks of it what is asked
//! of the relay, and no more; refuses to read any of the system's own.

use std::path::Path;

/// Two servers, because buffering is not to be had per request: one for answers with a length,
/// one for streams, which leave event by event as they do from the relay.
///
/// A request's body is held in memory as the relay holds it (`client_body_buffer_size`), not in
/// a file; each request is logged to a file as the relay logs it; connections to the upstream
/// are kept.
pub(super) fn configuration(folder: &Path, upstream: u16, json: u16, streams: u16) -> String {
    let folder = folder.display();
    format!(
        "\
worker_processes auto;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 64m;
    client_body_buffer_size 2m;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    upstream provider {{
        server 127.0.0.1:{upstream};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    proxy_http_version 1.1;
    proxy_set_header Connection \"\";
    proxy_read_timeout 600s;
    server {{
        listen 127.0.0.1:{json};
        location / {{ proxy_pass http://provider; }}
    }}
    server {{
        listen 127.0.0.1:{streams};
        location / {{ proxy_pass http://provider; proxy_buffering off; }}
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_its_ports_and_stays_in_its_folder() {
        let text = configuration(Path::new("t/nginx"), 1001, 1002, 1003);
        for needle in [
            "server 127.0.0.1:1001;",
            "listen 127.0.0.1:1002;",
            "listen 127.0.0.1:1003;",
            "pid t/nginx/nginx.pid;",
        ] {
            assert!(text.contains(needle), "{needle}");
        }
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
