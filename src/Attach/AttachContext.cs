using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;

namespace Xfrmd.Attach;

/// <summary>What all sessions of a daemon share.</summary>
internal sealed record AttachContext(
    ProtocolFamilies Families,
    ISocketHooks Hooks,
    NamespaceTracker Namespaces,
    SocketTable Sockets,
    PairPool Pairs,
    Truesizes Truesizes,
    SafeFileHandle HomeNamespace,
    ulong HomeNamespaceInode,
    ILogger Log)
{
    public SysctlWriters Writers { get; } = new();

    public XfrmLinks Links { get; } = new();

    public ProcessMemory Memory { get; } = new();

    public SystemLimit SendBufferLimit { get; } = new("wmem_max");

    public SystemLimit ReceiveBufferLimit { get; } = new("rmem_max");

    /// <summary>What a socket has from the start.</summary>
    public int ReceiveBufferDefault { get; } = SystemLimit.ReadOnce("rmem_default");
}
