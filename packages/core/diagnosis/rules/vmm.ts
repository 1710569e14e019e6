import type { Finding, Rule } from './rule.ts';
import { bySignature, type Signature } from './signatures.ts';

/**
 * What Firecracker, its jailer, QEMU and runtimes over them print when they refuse or end. Wordings: Firecracker's `thiserror` texts in
 * src/vmm, src/jailer and src/firecracker (1.0 to 1.16), QEMU 7 to 9. Order matters: the first row that fits a line has it.
 */
const table: readonly Signature[] = [
  { code: 'host.kvm.permission-denied', says: /Kvm\(Error\(13\)\)/, where: 'any' },
  { code: 'host.kvm.missing', says: /Kvm\(Error\(2\)\)/, where: 'any' },
  { code: 'host.kvm.busy', says: /Kvm\(Error\(16\)\)/, where: 'any' },
  { code: 'vmm.vsock-cid-in-use', says: /unable to set guest cid: Address already in use/i, where: 'vmm' },
  { code: 'host.net.bridge-filters-frames', says: /-j DROP\b.{0,10}pcnt = [1-9]/, where: 'host' },
  {
    code: 'host.resources-leaked',
    says: /(?:IP|address|TAP|slot) ?pool (?:is )?(?:exhausted|empty)|no free (?:addresses|IPs|TAPs|slots)/i,
    where: 'vmm',
  },
  { code: 'host.net.too-many-ports', says: /RTNETLINK answers: Exchange full|EXFULL/, where: 'any' },
  {
    code: 'host.net.neighbour-table-full',
    says: /neighbor(?:ing)? table overflow|arp_cache: neighbor table overflow|neighbour table overflow/i,
    where: 'host',
  },
  {
    code: 'host.net.bridge-missing',
    says: /argument "\S+" is wrong: Device does not exist|can't find bridge|bridge \S+ does not exist/i,
    where: 'host',
  },
  { code: 'vmm.device-limit', says: /ResourceNotAvailable/, where: 'vmm' },
  {
    code: 'vmm.binary-not-executable',
    says: /exec (?:format error|user process caused)|exec \S*(?:firecracker|jailer|qemu)\S*: (?:exec format error|permission denied)/i,
    where: 'vmm',
  },
  // snapshots first: their messages wrap those of devices
  { code: 'vmm.snapshot-load-rejected-after-config', says: /not allowed after configuring boot-specific resources/, where: 'any' },
  {
    code: 'snapshot.version-incompatible',
    says: /(?:Invalid data version|bincode decoding)|snapshot.{0,80}(?:version (?:mismatch|is not supported|not supported)|[Uu]nsupported (?:snapshot )?version|[Ii]nvalid (?:snapshot |data format |format )?version)|(?:[Ii]nvalid|[Uu]nsupported|incompatible) snapshot (?:format )?version|InvalidFormatVersion|InvalidSnapshotVersion|Unknown savevm section|error while loading state for instance|snapshot (?:was )?(?:created|taken) (?:with|by) .{0,40}(?:different|older|newer) version|Cannot (?:restore|load) (?:a )?snapshot (?:from|of) (?:a )?(?:different|newer|older)/i,
    where: 'any',
  },
  {
    code: 'snapshot.cpu-incompatible',
    says: /snapshot.{0,160}CPU (?:vendor|manufacturer|model) (?:mismatch|differs)|CPU of the snapshot|snapshot.{0,80}(?:CPU|MSR|CPUID|cpuid|TSC|tsc).{0,60}(?:mismatch|differ|not supported|incompatible|fail)|Failed to restore (?:vCPU|vcpu).{0,80}(?:Msr|msr|Cpuid|tsc|xsave|XSAVE|lapic)|TSC (?:frequency|scaling).{0,60}snapshot/i,
    where: 'any',
  },
  {
    code: 'snapshot.file-corrupt',
    says: /(?:snapshot|mem(?:ory)? file).{0,240}(?:CRC|checksum|magic|corrupt|truncat|greater then file length|file length|deserializ|size mismatch|unexpected end|UnexpectedEof|too short)|CRC64 validation failed|InvalidMagic|Length mismatch: pc\.ram|Missing section footer/i,
    where: 'any',
  },
  {
    code: 'snapshot.tap-missing',
    says: /(?:restore|[Ll]oad snapshot|snapshot).{0,160}(?:[Oo]pen tap|TapOpen|tap device|CreateNet|Net\().{0,120}/,
    where: 'any',
  },
  {
    code: 'snapshot.memory-backend-failed',
    says: /(?:[Uu]ffd|userfaultfd|UFFD).{0,120}(?:fail|refused|No such|denied|not permitted|error)/,
    where: 'any',
  },
  {
    code: 'snapshot.file-missing',
    says: /(?:[Ll]oad snapshot|restore|snapshot).{0,200}(?:No such file or directory|os error 2|NotFound|does not exist)/,
    where: 'any',
  },
  {
    code: 'snapshot.vm-not-paused',
    says: /(?:[Ss]napshot|MicroVM|Microvm).{0,100}(?:not (?:been )?paused|must be paused|is running|while (?:the )?(?:VM|microVM) is running)|NotPaused|save\/restore unavailable while running|Cannot create snapshot.{0,40}running/,
    where: 'any',
  },
  // KVM
  {
    code: 'host.kvm.permission-denied',
    says: /(?:\/dev\/kvm|KVM|kvm).{0,140}(?:Permission denied|EACCES|os error 13|EPERM|os error 1\)|Operation not permitted)|Permission denied.{0,80}\/dev\/kvm/,
    where: 'any',
    but: /No such file/,
  },
  {
    code: 'host.kvm.busy',
    says: /(?:\/dev\/kvm|KVM|kvm|VMX|vmx).{0,140}(?:Device or resource busy|EBUSY|os error 16)|VT-x is being used by another hypervisor|VERR_VMX_IN_VMX_ROOT_MODE|VirtualBox can't (?:operate|enable)/,
    where: 'any',
  },
  {
    code: 'host.kvm.missing',
    says: /(?:\/dev\/kvm|KVM|kvm).{0,140}(?:No such file or directory|ENOENT|os error 2|No such device|ENODEV|os error 19|not (?:found|exist|available|present)|does not exist|is missing)|KVM acceleration can NOT be used|disabled by (?:the )?(?:BIOS|bios|firmware)|VMX (?:is )?not (?:supported|enabled)|SVM not (?:supported|enabled)|(?:kvm(?:_intel|_amd)?: )(?:no hardware support|VMX not|support for .* disabled)|Your CPU does not support KVM|\bno \/dev\/kvm\b|no KVM (?:device|support)/i,
    where: 'any',
    but: /vhost|clock|\b(?:kvm-clock|guest)\b/,
  },
  {
    code: 'host.kvm.cpu-unsupported',
    says: /(?:CPU template|cpu_template|CPU config).{0,120}(?:not supported|unsupported|incompatible|invalid|fail)|(?:host|CPU) (?:doesn't|does not) support (?:requested|the|this) (?:features?|CPU)|Missing KVM capabilit|KVM capabilit(?:y|ies).{0,40}(?:missing|not)|T2[CSA]?.{0,30}template.{0,40}(?:not|only)|The current CPU model|CPU vendor mismatch\w* between actual CPU and CPU template|UnsupportedCpu|EntryFailed.*hardware_entry_failure_reason|unsupported (?:CPU )?family/i,
    where: 'any',
  },
  {
    code: 'host.kvm.unusable',
    says: /KVM internal error|KVM_EXIT_(?:FAIL_ENTRY|INTERNAL_ERROR|UNKNOWN)|kvm run failed|KVM: entry failed|hardware error 0x|(?:KVM_CREATE_VM|KVM_RUN|KVM_CREATE_VCPU).{0,60}(?:fail|error|Invalid)|Failed to run (?:vCPU|vcpu).{0,80}|Unexpected exit reason on vcpu run|failed to initialize kvm(?!: (?:Permission|No such|Device))|VcpuUnhandledKvmExit|UnhandledKvmExit|emulation failure|(?:failed|unable) to set MSR|kvm_buf_set_msrs|Error creating (?:the )?(?:KVM )?VM(?:\b|:)(?!.*tap)/i,
    where: 'any',
    but: /Permission denied|No such file|resource busy|os error (?:2|13|16)\b/,
  },
  // kernel and initrd
  {
    code: 'image.artifact-moved-by-host-upgrade',
    says: /\/boot\/\S+.{0,160}(?:No such file|not found|ENOENT|os error 2|NotFound|does not exist|cannot open)|(?:No such file|cannot open|not found).{0,80}\/boot\/(?:vmlinu|initrd|initramfs)\S+/,
    where: 'vmm',
  },
  {
    code: 'vmm.kernel-wrong-architecture',
    says: /(?:[Kk]ernel|ELF|elf).{0,100}(?:[Ww]rong|[Ii]nvalid|mismatch\w*|unsupported|different).{0,20}(?:arch|machine)|InvalidElfMachine|(?:aarch64|ARM64|arm64).{0,60}(?:kernel|image).{0,60}(?:x86|amd64)/i,
    where: 'vmm',
  },
  {
    code: 'vmm.kernel-format-unsupported',
    says: /InvalidImageMagicNumber|Invalid (?:PE|Image) magic|InvalidElfMagicNumber|[Ii]nvalid [Ee][Ll][Ff] magic|without PVH ELF Note|[Ii]nvalid kernel (?:image|header|format)|BigEndianElfOnLittle|kernel.{0,60}(?:is )?not (?:a valid |an )?ELF|Kernel [Ll]oader.{0,80}(?:magic|format|header)|InvalidProgramHeader|(?:bzImage|vmlinuz).{0,60}(?:not supported|unsupported|instead)|unsupported kernel (?:image )?format|could not load (?:PVH )?kernel|qemu: linux kernel too old|Bad kernel image|vmlinuz.{0,60}bzImage/i,
    where: 'vmm',
    but: /No such file|os error 2|ReadElfHeader|ReadKernelImage/,
  },
  {
    code: 'vmm.kernel-corrupt',
    says: /(?:[Kk]ernel|ELF|Elf).{0,120}(?:ReadElfHeader|ReadKernelImage|ReadProgramHeader|truncat|unexpected end|UnexpectedEof|failed to fill whole buffer|unable to read)/i,
    where: 'vmm',
  },
  {
    code: 'vmm.file-not-found',
    says: /(?:kernel file|kernel image|[Kk]ernel|initrd|backing file|block device|drive|disk|rootfs|[Cc]onfig(?:uration)? file|vmlinux|could not open|Could not open|Unable to open|Cannot open|opening).{0,200}(?:No such file or directory|os error 2\b|NotFound|does not exist|ENOENT)/,
    where: 'vmm',
    but: /\/dev\/kvm|\/dev\/net\/tun|vhost|socket|[Ll]og|netns|chroot|spawn|shim|exec:|\btap/i,
  },
  // network devices
  {
    code: 'host.net.tun-device-missing',
    says: /OpenTun\(|\/dev\/net\/tun.{0,100}(?:No such file|No such device|ENOENT|ENODEV|os error (?:2|19))|(?:No such file|ENODEV).{0,40}\/dev\/net\/tun|modprobe.{0,30}\btun\b.{0,30}not found/,
    where: 'any',
    but: /TUNSETIFF/,
  },
  {
    code: 'host.net.tap-busy',
    says: /(?:[Tt]ap|TAP|TUNSETIFF|tun\b|ifreq).{0,160}(?:Device or resource busy|Resource busy|EBUSY|os error 16)|(?:Device or resource busy|EBUSY).{0,60}(?:tap|tun)/,
    where: 'any',
  },
  {
    code: 'host.net.tap-permission-denied',
    says: /(?:[Tt]ap\b|TAP|TUNSETIFF|\/dev\/net\/tun|ifreq|tun\b).{0,160}(?:Operation not permitted|Permission denied|EPERM|EACCES|os error (?:1|13)\b)/,
    where: 'any',
  },
  {
    code: 'host.net.tap-missing',
    says: /(?:[Oo]pen tap|[Tt]ap device|\btap\d*\b|host_dev_name|TAP|[Tt]ap).{0,160}(?:No such device|ENODEV|os error 19|does not exist|No such file|os error 2\b|not found)|(?:Device|device) "?(?:tap|fc-|vmtap)[\w.-]*"? does not exist/,
    where: 'any',
    but: /OpenTun|\/dev\/net\/tun/,
  },
  {
    code: 'host.net.tap-options-mismatch',
    says: /(?:[Tt]ap|TAP|TUNSETIFF|tun).{0,160}(?:Invalid argument|EINVAL|os error 22)/,
    where: 'any',
  },
  // drives
  {
    code: 'host.disk.image-in-use',
    says: /Failed to get (?:"?(?:shared )?(?:write|consistent read|resize)"?) lock|Is another process using the image|image .{0,40}(?:is )?(?:already )?(?:in use|locked)\b|Text file busy/,
    where: 'vmm',
  },
  {
    code: 'image.wrong-disk-format',
    says: /Image is not in (?:qcow2|raw|\w+) format|QEMU QCOW2? Image|qcow2.{0,60}(?:not supported|unsupported|as raw)|Unknown (?:driver|protocol|file format) '\w+'/i,
    where: 'vmm',
  },
  {
    code: 'vmm.drive-not-writable',
    says: /(?:backing file|block device|drive|disk|rootfs|image).{0,160}(?:Read-only file system|EROFS|os error 30)/i,
    where: 'vmm',
  },
  // vsock
  {
    code: 'vmm.vsock-socket-in-use',
    says: /(?:[Vv]sock|uds_path|UnixBind).{0,160}(?:Address (?:already )?in use|AddrInUse|EADDRINUSE|os error 98)/,
    where: 'vmm',
  },
  {
    code: 'vmm.vsock-cid-in-use',
    says: /(?:guest[- ]cid|guest cid|VHOST_VSOCK_SET_GUEST_CID).{0,80}(?:Address (?:already )?in use|EADDRINUSE|in use)/i,
    where: 'vmm',
  },
  {
    code: 'vmm.vsock-host-missing',
    says: /vhost[-_]vsock.{0,120}(?:No such file|No such device|not found|failed to open|Permission denied|missing|could not insert|busy)|could not insert 'vhost_vsock'|failed to open vhost device/i,
    where: 'any',
  },
  {
    code: 'kernel.vsock-missing',
    says: /(?:AF_VSOCK|vsock).{0,80}(?:Address family not supported|EAFNOSUPPORT|not supported by protocol)|Address family not supported by protocol.{0,60}vsock|\/dev\/vsock.{0,30}No such file/i,
    where: 'guest',
  },
  {
    code: 'vmm.vsock-not-connected',
    says: /vsock.{0,100}(?:Connection reset|ECONNRESET|Connection refused|ECONNREFUSED|closed|EOF)|CONNECT \d+.{0,60}(?:reset|closed|EOF|refused)/i,
    where: 'any',
    confidence: 'possible',
  },
  // sockets and API
  {
    code: 'vmm.socket-path-too-long',
    says: /path must be shorter than SUN_LEN|UNIX socket path .{0,200}too long|AF_UNIX path too long|(?:socket|sun_path).{0,60}(?:too long|ENAMETOOLONG)/i,
    where: 'any',
  },
  {
    code: 'vmm.socket-in-use',
    says: /FailedToBindSocket|Failed to open the API socket|(?:API|api|unix|UNIX) ?socket.{0,140}(?:Address (?:already )?in use|AddrInUse|EADDRINUSE|already (?:exists|used|in use)|os error 98)|(?:Address (?:already )?in use|EADDRINUSE).{0,60}\.(?:sock|socket)\b|Check that it is not already used/,
    where: 'vmm',
  },
  {
    code: 'vmm.log-target-missing',
    says: /LoggerUpdateError|(?:[Ll]ogger|[Ll]og (?:file|path)|[Mm]etrics).{0,120}(?:No such file|NotFound|os error 2\b|ENOENT|cannot (?:open|be opened))/,
    where: 'vmm',
    but: /kernel (?:log|file)|catalog/,
  },
  {
    code: 'vmm.vcpu-count-invalid',
    says: /vCPU (?:number|count).{0,60}(?:invalid|must|greater|even)|number of vCPUs|vcpu_count.{0,80}(?:invalid|must|expected|\d\.\d)|[Ii]nvalid (?:SMP )?CPUs? \d|invalid vcpu/i,
    where: 'vmm',
  },
  {
    code: 'vmm.memory-size-invalid',
    says: /memory size \(MiB\) is (?:invalid|either 0)|mem_size_mib.{0,60}(?:invalid|must|missing|expected)|machine config.{0,80}memory/i,
    where: 'vmm',
  },
  {
    code: 'vmm.api-misuse',
    says: /not supported (?:after|before) starting the microVM|(?:The requested )?operation is not supported (?:after|before|in|while)|microVM (?:is )?already running|MicroVMAlreadyRunning|not allowed (?:after|before) (?:starting|booting|the microVM)|(?:drive|device|Block device).{0,60}(?:cannot be (?:added|changed|updated) after|already (?:exists|been added))/i,
    where: 'vmm',
  },
  {
    code: 'image.artifact-moved-by-host-upgrade',
    says: /(?:initrd|kernel).{0,80}(?:unattended.upgrade|after (?:the )?(?:host|kernel) upgrade|replaced by (?:an )?upgrade)/i,
    where: 'any',
  },
  {
    code: 'vmm.device-limit',
    says: /No 'virtio-bus' bus found|(?:IRQ|irq|interrupt|MMIO|mmio|device|GSI).{0,60}(?:exhausted|no more|limit (?:reached|exceeded)|too many|ResourceNotAvailable)|[Nn]o available (?:IRQ|gsi|slot)/,
    where: 'vmm',
  },
  {
    code: 'vmm.mmds-misconfigured',
    says: /MMDS.{0,120}(?:invalid|not configured|fail|error|unsupported)|169\.254\.169\.254.{0,120}(?:failed|request error|refused|unreachable|timed out|No route|401|missing token)|(?:missing|invalid) MMDS token|No MMDS token provided/i,
    where: 'any',
  },
  // the jailer
  {
    code: 'vmm.jailer-noexec-or-nodev',
    says: /(?:[Ff]ailed to exec into|exec(?:ve)?\b).{0,80}[Ff]irecracker.{0,60}(?:Permission denied|os error 13)|(?:jail|chroot|srv|firecracker).{0,80}\b(?:noexec|nodev)\b/,
    where: 'vmm',
  },
  {
    code: 'vmm.jailer-chroot-exists',
    says: /(?:mknod|mkdir|jail|chroot|hard link|copy).{0,160}(?:File exists|AlreadyExists|EEXIST|os error 17)/i,
    where: 'vmm',
  },
  {
    code: 'vmm.jailer-cgroup',
    says: /[Cc]group.{0,160}(?:No such file|not found|not available|unavailable|NotFound|Permission denied|Read-only|fail|not mounted|hierarchy|controller|Device or resource busy|EBUSY|invalid|os error)|cgroup\.\w*(?:controllers|subtree_control).{0,60}(?:No such|not available|failed|busy)|Hierarchy not found|No hierarchy found for this cgroup/,
    where: 'vmm',
    but: /out of memory|oom|docker|containerd|mountpoint does not exist|Devices cgroup/i,
  },
  {
    code: 'host.net.tap-in-other-namespace',
    says: /(?:netns|network namespace|setns|CLONE_NEWNET).{0,120}(?:No such file|fail|not found|os error|Invalid)/i,
    where: 'vmm',
  },
  {
    code: 'vmm.jailer-ownership',
    says: /(?:jail|chroot|chown).{0,120}(?:Permission denied|EACCES|os error 13|not owned|Operation not permitted)|chown.{0,60}(?:fail|not permitted)/i,
    where: 'vmm',
  },
  {
    code: 'vmm.jailer-path-outside-chroot',
    says: /(?:chroot|jail).{0,120}(?:No such file|os error 2\b|NotFound|outside|not (?:found|visible) inside)/i,
    where: 'vmm',
  },
  {
    code: 'vmm.jailer-arguments',
    says: /[Jj]ailer.{0,80}(?:[Ii]nvalid|[Aa]rgument|missing|must|required)|(?:instance|microVM) (?:ID|id).{0,60}(?:[Ii]nvalid|too long|must)|[Ii]nvalid (?:instance ID|uid|gid|char in)/,
    where: 'vmm',
    but: /Invalid argument/,
  },
  {
    code: 'vmm.needs-privileges',
    says: /(?:unshare|pivot_root|setuid|setgid|mount namespace|capset|chroot\b).{0,100}(?:Operation not permitted|EPERM|os error 1\b)|must be run as root|requires root privileges/i,
    where: 'vmm',
  },
  // endings
  {
    code: 'vmm.seccomp-violation',
    says: /intercepting a bad syscall|[Bb]ad ?[Ss]yscall|seccomp (?:violation|filter.{0,40}(?:kill|fail|violat))|\bSIGSYS\b|exit(?:ed)?.{0,12}\b148\b|type=1326|audit:.*comm="firecracker".*sig=31/i,
    where: 'any',
  },
  {
    code: 'host.vmm-killed-out-of-memory',
    says: /(?:Out of memory|oom-kill|Memory cgroup out of memory|OOM killer|oom_reaper|Killed process).{0,200}(?:firecracker|qemu|fc_vcpu|cloud-hyper|\bvmm\b)|result 'oom-kill'|oom_kill [1-9]|OOMKilled/i,
    where: 'any',
  },
  {
    code: 'host.memory-exhausted',
    says: /(?:[Cc]annot|[Ff]ailed to|[Uu]nable to|could not|cannot).{0,60}(?:allocate|map|set up|create).{0,40}memory|(?:mmap|guest memory|memory region|MemoryBackend|MmapRegion).{0,100}(?:Cannot allocate memory|ENOMEM|os error 12)|os error 12\b|Cannot allocate memory|not enough memory|Insufficient memory on (?:the )?host/i,
    where: 'vmm',
    but: /hugetlb|huge ?pages?|dma/i,
  },
  {
    code: 'host.huge-pages-missing',
    says: /(?:hugetlb|huge ?pages?).{0,100}(?:fail|Cannot allocate|not enough|insufficient|ENOMEM|os error 12)/i,
    where: 'vmm',
  },
  { code: 'host.file-descriptors-exhausted', says: /[Tt]oo many open files|EMFILE|ENFILE|os error 2[34]\b/, where: 'vmm' },
  {
    code: 'host.process-limit',
    says: /(?:fork|clone|spawn|pthread_create|thread|pids).{0,80}(?:Resource temporarily unavailable|EAGAIN|os error 11)|fork rejected by pids controller/i,
    where: 'any',
  },
  {
    code: 'host.disk.full',
    says: /No space left on device|ENOSPC|os error 28\b|disk (?:is )?full|[Dd]isk quota exceeded|\b(?:9[89]|100)% (?:\/|used)|SQLITE_FULL|database or disk is full/,
    where: 'host',
  },
  {
    code: 'host.disk.io-error',
    says: /(?:blk_update_request|critical medium error|I\/O error, dev (?:sd|nvme)|Buffer I\/O error on dev (?:sd|nvme|dm)|Input\/output error|os error 5\b)/,
    where: 'host',
    but: /\btap/,
  },
  { code: 'host.disk.read-only', says: /Read-only file system|EROFS|os error 30\b/, where: 'vmm' },
  {
    code: 'host.disk.no-reflink',
    says: /(?:cp|reflink|FICLONE|clone).{0,80}(?:Operation not supported|EOPNOTSUPP|Invalid cross-device|EXDEV)/i,
    where: 'host',
    confidence: 'possible',
  },
  {
    code: 'vmm.binary-not-executable',
    says: /(?:firecracker|jailer|qemu\S*|cloud-hypervisor).{0,80}(?:Exec format error|cannot execute|ENOEXEC|Permission denied$|required file not found)/,
    where: 'vmm',
  },
  {
    code: 'vmm.binary-not-found',
    says: /(?:spawn|exec|executable|command|binary|fork\/exec|which).{0,120}(?:firecracker|jailer|qemu-system|cloud-hypervisor).{0,60}(?:ENOENT|not found|No such file|does not exist)|(?:firecracker|jailer|qemu-system-\w+): (?:command )?not found/i,
    where: 'vmm',
  },
  {
    code: 'vmm.file-permission-denied',
    says: /(?:kernel|initrd|drive|disk|block device|backing file|rootfs|vmlinux|snapshot|socket|open).{0,200}(?:Permission denied|EACCES|os error 13|PermissionDenied)|(?:avc: +denied|apparmor="DENIED").{0,200}/i,
    where: 'vmm',
    but: /kvm|\btap|\btun\b|OpenTun|TapOpen/i,
  },
  {
    code: 'vmm.api-not-answering',
    says: /\.(?:sock|socket)\b.{0,120}(?:Connection refused|ECONNREFUSED|No such file|ENOENT|connect: )|Couldn't connect to server.{0,40}unix|(?:dial unix|connect to socket).{0,120}(?:refused|no such file)|Timeout when waiting for the API socket|Firecracker did not create API socket/i,
    where: 'vmm',
    confidence: 'possible',
  },
  {
    code: 'vmm.crashed',
    says: /[Ff]irecracker (?:has )?panicked|thread '\w+' panicked at|(?:firecracker|qemu).{0,60}(?:segfault|core dumped|Segmentation fault|SIGSEGV|SIGABRT|SIGBUS)|segfault at .* in (?:firecracker|qemu)/,
    where: 'vmm',
    but: /API socket/,
  },
  {
    code: 'boot.command-line-cut',
    says: /(?:[Kk]ernel )?(?:[Cc]ommand line|cmdline|boot_args).{0,80}(?:too (?:long|large)|overflow|exceed|capacity)|TooLarge/,
    where: 'vmm',
  },
  {
    code: 'vmm.api-unknown-for-version',
    says: /unknown (?:field|variant) [`'"]|Invalid request method and\/or path|no such endpoint|unexpected argument .?--\w|Found argument .?(?:--)?\w[\w-]*.? which wasn't expected|UnexpectedArgument|(?:unrecognized|unknown|Unrecognized) (?:option|argument|command[- ]line)/i,
    where: 'vmm',
  },
  {
    code: 'vmm.arguments-refused',
    says: /Arguments parsing error|ParseArguments\(|was provided more than once|DuplicateArgument|MissingArgument|exit_code=153/,
    where: 'vmm',
  },
  {
    code: 'host.net.port-in-use',
    says: /Could not set up host forwarding rule|(?:port|listen|bind).{0,60}(?:is )?already (?:allocated|in use)/i,
    where: 'vmm',
    but: /\.sock\b/,
  },
  {
    code: 'host.disk.thin-pool-missing',
    says: /(?:thin.?pool|devmapper|\/dev\/mapper\/\S+).{0,120}(?:no such device|not found|does not exist|failed to query|No devices found)/i,
    where: 'vmm',
  },
  {
    code: 'vmm.config-invalid',
    says: /(?:deserializing the json body|missing field [`'"]|Configuration for VMM from one single json failed|No 'PCI' bus found for device|A root block device already exists|API Resource IDs can only contain|[Ii]nvalid (?:MAC|interface id|drive id)|is not a valid device model name|invalid type: |invalid value: |expected value at line|trailing characters at line|[Ii]nvalid JSON|JSON (?:parse|syntax) error|UnexpectedCharacter|[Cc]onfig(?:uration)? file.{0,40}(?:rejected|invalid|malformed))/,
    where: 'vmm',
    but: /cannot open|No such file/,
  },
];

export const vmm: Rule = (e, p) => {
  const findings = bySignature(table, e, p);
  const names = new Set(findings.map((f) => f.code));
  findings.push(...ended(e, p, names));
  findings.push(...ignoredKeys(e, p), ...lostFile(e, p, names));
  return findings;
};

/** Firecracker's own exit codes (src/vmm/src/lib.rs, FcExitCode), signals, and refusals that no row knows. */
function ended(e: Parameters<Rule>[0], p: Parameters<Rule>[1], names: ReadonlySet<string>): Finding[] {
  const findings: Finding[] = [];
  const { exit } = e.vmm;
  const signalled = p.findAny(/intercepting (?:signal|a bad) \D{0,10}(\d+)/, (l) => !l.console);
  const signal = exit?.signal ?? (signalled ? Number(/intercepting \D+(\d+)/.exec(signalled.body)?.[1] ?? 0) : null);
  const at = exit?.at ?? signalled;
  if (at && (exit?.code === 151 || signal === 25))
    findings.push({ code: 'vmm.file-size-limit', confidence: 'likely', because: [p.citeLine(at)] });
  const noPages = p.findAny(/HugePages_Free:\s+0$/);
  const wantsPages = p.findAny(/"?huge_pages"?\s*[:=]\s*"?2M/);
  if (noPages && (wantsPages || exit?.code === 149 || signal === 7)) {
    findings.push({
      code: 'host.huge-pages-missing',
      confidence: 'likely',
      because: [p.citeLine(noPages), ...(at ? [p.citeLine(at)] : [])],
    });
  }
  const asked = p.findAny(
    /(?:destroyVM|destroying|shutdown requested|stop requested|InstanceHalt|SendCtrlAltDel|deadline|not ready after|health check failed)/i,
    (l) => l.kind !== 'console' && !l.console,
  );
  if (at && names.size === 0 && findings.length === 0) {
    if (signal === 31 || exit?.code === 148)
      findings.push({ code: 'vmm.seccomp-violation', confidence: 'likely', because: [p.citeLine(at)] });
    else if ((signal !== null && [11, 6, 7, 4].includes(signal)) || exit?.code === 149 || exit?.code === 150) {
      findings.push({ code: 'vmm.crashed', confidence: 'likely', because: [p.citeLine(at)] });
    } else if (exit?.code === 153) findings.push({ code: 'vmm.arguments-refused', confidence: 'likely', because: [p.citeLine(at)] });
    else if (exit?.code === 152) findings.push({ code: 'vmm.config-invalid', confidence: 'likely', because: [p.citeLine(at)] });
    else if (signal !== null && signal !== 25 && !asked && !p.tap)
      findings.push({ code: 'vmm.killed-by-signal', confidence: 'likely', because: [p.citeLine(at)] });
  }
  const shut = p.findAny(/KVM_EXIT_SHUTDOWN/, (l) => !l.console);
  const nested = p.findAny(
    /^(?:vmware|microsoft|kvm|xen|oracle|amazon|google)$|nested|Hypervisor vendor/i,
    (l) => l.place !== 'guest' && !l.console,
  );
  if (shut && e.console.every((l) => l.text.trim() === '') && names.size === 0) {
    findings.push({
      code: 'host.kvm.unusable',
      confidence: nested ? 'likely' : 'possible',
      because: [p.citeLine(shut), ...(nested ? [p.citeLine(nested)] : [])],
    });
  }
  if (names.size === 0 && findings.length === 0) {
    const refused = p.findAny(
      /fault_message|Received Error\. Status code: 4\d\d|^Error: Run(?:With|Without)|^qemu-system-\w+: (?!warning)/,
      (l) => !l.console,
    );
    if (refused) {
      const words =
        /fault_message\\*"?\s*:\s*\\*"([^"\\]{1,200})/.exec(refused.body)?.[1] ??
        /Message: (.{1,200})/.exec(refused.body)?.[1] ??
        refused.body;
      findings.push({
        code: 'vmm.request-refused',
        confidence: 'likely',
        because: [p.citeLine(refused)],
        title: `The VMM refused what it was asked for: ${words.slice(0, 160)}`,
      });
    }
  }
  return findings;
}

/** A kernel or initrd that could not be opened; below /boot the host's own upgrades take files away. */
function lostFile(e: Parameters<Rule>[0], p: Parameters<Rule>[1], names: ReadonlySet<string>): Finding[] {
  const refused = p.findAny(
    /(?:cannot|could not|failed to|unable to|can't) (?:open|find|read|stat) (?:the )?(?:initrd|kernel|initramfs|vmlinu)/i,
    (l) => l.kind !== 'console' && !l.console,
  );
  const lost =
    refused ?? p.findAny(/(?:kernel|initrd).{0,160}(?:No such file|NotFound|os error 2\b)/, (l) => l.kind !== 'console' && !l.console);
  const path = [e.asked.initrd, e.asked.kernel].find((a) => a?.value.startsWith('/boot/')) ?? null;
  if (!lost || names.has('image.artifact-moved-by-host-upgrade')) return [];
  if (path)
    return [{ code: 'image.artifact-moved-by-host-upgrade', confidence: 'likely', because: [p.citeLine(lost), p.citeLine(path.at)] }];
  return refused && names.size === 0 ? [{ code: 'vmm.file-not-found', confidence: 'likely', because: [p.citeLine(refused)] }] : [];
}

/** Top-level keys of Firecracker's configuration file, all versions to 1.16; others are ignored without a word. */
const configKeys = new Set([
  'boot-source',
  'drives',
  'machine-config',
  'cpu-config',
  'balloon',
  'network-interfaces',
  'vsock',
  'logger',
  'metrics',
  'mmds-config',
  'entropy',
  'pmem',
  'serial',
  'memory-hotplug',
]);

function ignoredKeys(e: Parameters<Rule>[0], p: Parameters<Rule>[1]): Finding[] {
  const said = p.findAny(
    /(?:extra|unknown|unrecognised|unrecognized|unsupported) (?:top-level )?(?:key|section) "?([\w-]+)"?/i,
    (l) => !l.console && !/unknown field `/.test(l.body),
  );
  const key = said === null ? undefined : /(?:key|section) "?([\w-]+)"?/i.exec(said.body)?.[1];
  if (said && key !== undefined && !configKeys.has(key)) {
    return [{ code: 'vmm.config-key-ignored', confidence: 'possible', because: [p.citeLine(said)], degrades: true }];
  }
  if (!e.lines.some((l) => /"boot-source"\s*:\s*\{/.test(l.body))) return [];
  // the shallowest indentation is that of the top level
  const keys = e.lines.flatMap((line) => {
    const m = /^([ \t]{0,8})"([\w-]+)"\s*:\s*[[{]/.exec(line.text);
    return m?.[2] !== undefined && !line.console ? [{ line, indent: (m[1] ?? '').length, key: m[2] }] : [];
  });
  const top = Math.min(...keys.filter((k) => k.key === 'boot-source').map((k) => k.indent));
  const wrong = keys.find((k) => k.indent === top && !configKeys.has(k.key));
  if (wrong === undefined) return [];
  const meant = [...configKeys].find(
    (k) => k.replaceAll('-', '').replace(/s$/, '') === wrong.key.toLowerCase().replaceAll(/[-_]/g, '').replace(/s$/, ''),
  );
  return [
    {
      code: 'vmm.config-key-ignored',
      confidence: meant === undefined ? 'possible' : 'likely',
      because: [p.citeLine(wrong.line)],
      title: `Firecracker knows no "${wrong.key.slice(0, 40)}" and ignores it${meant === undefined ? '' : `; it is called ${meant}`}`,
      ...(meant === undefined || p.reached ? { degrades: true as const } : {}),
    },
  ];
}
