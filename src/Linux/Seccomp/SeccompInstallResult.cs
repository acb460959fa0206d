namespace Xfrmd.Linux.Seccomp;

/// <summary>How <see cref="SeccompFilter.InstallWithListener"/> ended.</summary>
/// <param name="Errno">0, or why there is no listener: EBUSY where an outer filter has one already.</param>
/// <param name="ListenerFd">The listener's number in this process (it closes itself on exec).</param>
/// <param name="WaitKillable">Whether signals with a handler wait for our answers (Linux 5.19 and later).</param>
/// <param name="NoNewPrivileges">Whether no_new_privs had to be set.</param>
public readonly record struct SeccompInstallResult(int Errno, int ListenerFd, bool WaitKillable, bool NoNewPrivileges);
