//! ClickHouse servers on this machine: a lone one, and a cluster of two shards with two replicas each with the ZooKeeper
//! that they need.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use tempfile::TempDir;

use crate::support::clickhouse::{CLUSTER, PASSWORD, USER, execute};
use crate::support::packages::program;
use crate::support::{eventually, signal};

/// Ends a program when this process ends, however it does: then the pipe to the shell closes.
const WATCHED: &str =
    r#"cd "$1"; shift; "$@" > out 2>&1 < /dev/null & child=$!; echo $child; cat > /dev/null; kill -9 $child"#;
const ZOOKEEPER: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

/// One cluster for all tests, which use it one after the other.
static CLUSTER_OF_ALL: Mutex<Option<Cluster>> = Mutex::new(None);

/// The cluster, for one test.
pub fn cluster() -> MappedMutexGuard<'static, Cluster> {
    let cluster = MutexGuard::map(CLUSTER_OF_ALL.lock(), |cluster| {
        cluster.get_or_insert_with(Cluster::start)
    });
    cluster.forget_stores();
    cluster
}

/// Ends the cluster, which keeps a machine busy also when nobody asks it. Whoever needs one later starts another.
pub fn end() {
    CLUSTER_OF_ALL.lock().take();
}

/// A server that belongs to no cluster, for one test; killed when dropped.
pub struct LoneServer {
    node: Node,
    _directory: TempDir,
}

impl LoneServer {
    pub fn start() -> Self {
        let server = program(&["clickhouse-server"], "clickhouse-server");
        let directory = TempDir::new().unwrap();
        let ports: [u16; 3] = free_ports();
        let place = directory.path().join("node");
        write_settings(&place, &ports, "");
        let mut node = Node {
            directory: place,
            http: ports[0],
            running: None,
        };
        node.launch(&server);
        node.wait();
        Self {
            node,
            _directory: directory,
        }
    }

    /// `HOST:PORT`
    pub fn host(&self) -> String {
        self.node.host()
    }
}

pub struct Cluster {
    /// Shard by shard.
    pub nodes: Vec<Node>,
    _zookeeper: Watched,
    _directory: TempDir,
}

/// A server.
pub struct Node {
    directory: PathBuf,
    http: u16,
    running: Option<Watched>,
}

/// A running program; killed when dropped.
struct Watched {
    id: u32,
    shell: Child,
    _pipe: Option<ChildStdin>,
}

impl Watched {
    fn start(directory: &Path, program: &Path, arguments: &[String]) -> Self {
        use std::io::BufRead as _;
        let mut shell = Command::new("sh")
            .args(["-c", WATCHED, "sh"])
            .arg(directory)
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut id = String::new();
        std::io::BufReader::new(shell.stdout.take().unwrap())
            .read_line(&mut id)
            .unwrap();
        Self {
            id: id.trim().parse().unwrap(),
            _pipe: shell.stdin.take(),
            shell,
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self._pipe.take();
        let _ = self.shell.wait();
    }
}

/// Of those that nobody is given by chance: also free for a node that was stopped for a while.
fn free_ports<const N: usize>() -> [u16; N] {
    let mut ports = (10_000..32_000)
        .cycle()
        .skip(std::process::id() as usize * 37 % 22_000);
    // All are held until the last is known, so that none is given twice.
    let held = [(); N].map(|()| {
        let bind = |port| TcpListener::bind(("127.0.0.1", port)).ok();
        ports.by_ref().take(22_000).find_map(bind).unwrap()
    });
    held.map(|listener| listener.local_addr().unwrap().port())
}

impl Cluster {
    fn start() -> Self {
        let server = program(&["clickhouse-server"], "clickhouse-server");
        let java = program(&["java"], "zookeeper");
        program(
            &["zkServer.sh", "../share/zookeeper/bin/zkServer.sh"],
            "zookeeper",
        );
        let directory = TempDir::new().unwrap();
        let ports: [u16; 13] = free_ports();
        let (keeper, ports) = ports.split_first().unwrap();
        let zookeeper = start_zookeeper(&directory.path().join("zookeeper"), &java, *keeper);
        let ports: Vec<[u16; 3]> = ports.chunks(3).map(|ports| ports.try_into().unwrap()).collect();
        let replica = |ports: &[u16; 3]| {
            format!(
                "<replica><host>127.0.0.1</host><port>{}</port></replica>",
                ports[1]
            )
        };
        let shards: Vec<String> = ports
            .chunks(2)
            .map(|ports| {
                let replicas: String = ports.iter().map(replica).collect();
                format!("<shard><internal_replication>true</internal_replication>{replicas}</shard>")
            })
            .collect();
        let mut nodes = Vec::new();
        for (number, ports) in ports.iter().enumerate() {
            let place = directory.path().join(format!("node{number}"));
            write_settings(&place, ports, &membership(number, *keeper, &shards.concat()));
            let mut node = Node {
                directory: place,
                http: ports[0],
                running: None,
            };
            node.launch(&server);
            nodes.push(node);
        }
        for node in &nodes {
            node.wait();
        }
        Self {
            nodes,
            _zookeeper: zookeeper,
            _directory: directory,
        }
    }

    /// Drops what earlier tests have left: each replicated table asks ZooKeeper again and again for as long as it exists.
    fn forget_stores(&self) {
        let forget = |node: &Node| {
            let all = "SELECT name FROM system.databases WHERE name NOT IN ('system', 'default')";
            let names = execute(&node.host(), all).unwrap_or_default();
            for name in names.lines() {
                // What is left only takes time.
                let _ = execute(&node.host(), &format!("DROP DATABASE {name}"));
            }
        };
        std::thread::scope(|scope| {
            for node in &self.nodes {
                scope.spawn(move || forget(node));
            }
        });
    }

    /// What tests and stores need to know of it, `HOST:PORT` with commas.
    pub fn hosts(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(Node::host).collect();
        hosts.join(",")
    }
}

impl Node {
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.http)
    }

    fn launch(&mut self, server: &Path) {
        let settings = format!("--config-file={}", self.directory.join("config.xml").display());
        self.running = Some(Watched::start(&self.directory, server, &[settings]));
    }

    fn wait(&self) {
        eventually("the start of a ClickHouse server", || {
            execute(&self.host(), "SELECT 1").is_ok()
        });
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            signal(running.id, "KILL");
        }
    }

    /// Starts it again and waits until it answers.
    pub fn start(&mut self) {
        self.launch(&program(&["clickhouse-server"], "clickhouse-server"));
        self.wait();
    }
}

fn start_zookeeper(directory: &Path, java: &Path, port: u16) -> Watched {
    std::fs::create_dir_all(directory.join("data")).unwrap();
    let settings = directory.join("zoo.cfg");
    let text = format!(
        "tickTime=500\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
         maxClientCnxns=200\n",
        directory.join("data").display()
    );
    std::fs::write(&settings, text).unwrap();
    let arguments = [
        "-Xmx256m",
        // What the tests kill are processes, not the machine.
        "-Dzookeeper.forceSync=no",
        "-cp",
        "/etc/zookeeper/conf:/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-nop.jar",
        ZOOKEEPER,
        settings.to_str().unwrap(),
    ];
    let running = Watched::start(directory, java, &arguments.map(str::to_owned));
    eventually("the start of ZooKeeper", || answers(port));
    running
}

/// Whether ZooKeeper says how it is; it listens before it can do anything.
fn answers(port: u16) -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    // It may have taken the connection and never look at it.
    let patience = Some(std::time::Duration::from_secs(1));
    stream.set_read_timeout(patience).unwrap();
    let mut answer = String::new();
    let asked = stream
        .write_all(b"srvr")
        .and_then(|()| stream.read_to_string(&mut answer));
    asked.is_ok() && answer.contains("Mode:")
}

/// The settings that make a server the given one of the cluster.
fn membership(number: usize, keeper: u16, shards: &str) -> String {
    let (shard, replica) = (number / 2, number % 2);
    format!(
        "<macros><shard>{shard}</shard><replica>{replica}</replica></macros>
        <zookeeper><node><host>127.0.0.1</host><port>{keeper}</port></node><session_timeout_ms>5000</session_timeout_ms></zookeeper>
        <distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>
        <remote_servers><{CLUSTER}>{shards}</{CLUSTER}></remote_servers>"
    )
}

fn write_settings(place: &Path, [http, tcp, interserver]: &[u16; 3], membership: &str) {
    std::fs::create_dir_all(place.join("data")).unwrap();
    let path = place.display();
    let config = format!(
        "<yandex>
        <logger><level>warning</level><log>{path}/log</log><errorlog>{path}/errors</errorlog></logger>
        <http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><interserver_http_port>{interserver}</interserver_http_port>
        <interserver_http_host>127.0.0.1</interserver_http_host><listen_host>127.0.0.1</listen_host>
        <path>{path}/data/</path><tmp_path>{path}/tmp/</tmp_path><user_files_path>{path}/files/</user_files_path>
        <format_schema_path>{path}/schemas/</format_schema_path>
        <users_config>users.xml</users_config><default_profile>default</default_profile>
        <default_database>default</default_database><mark_cache_size>67108864</mark_cache_size><timezone>UTC</timezone>
        {membership}
        </yandex>"
    );
    std::fs::write(place.join("config.xml"), config).unwrap();
    let user = |name: &str, password: &str| {
        format!(
            "<{name}><password>{password}</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>\
             <quota>default</quota></{name}>"
        )
    };
    let users = format!(
        "<yandex><profiles><default><max_memory_usage>4000000000</max_memory_usage></default></profiles>
        <users>{}{}</users><quotas><default></default></quotas></yandex>",
        user("default", ""),
        user(USER, PASSWORD)
    );
    std::fs::write(place.join("users.xml"), users).unwrap();
}
