using System.Globalization;
using Microsoft.Win32.SafeHandles;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Process;

/// <summary>
/// The user namespaces that rule a network namespace: its owner first, then that one's parents as far as we see. Answers
/// <c>ns_capable</c> for other threads.
/// </summary>
public sealed class UserNamespaces
{
    public const int NetAdmin = 12, NetRaw = 13;

    // linux/nsfs.h: _IO(0xb7, n).
    private const int GetUserNamespace = 0xb701, GetParent = 0xb702, GetOwnerUid = 0xb704;

    private readonly List<(ulong Inode, uint OwnerUid)> _chain = [];

    private UserNamespaces()
    {
    }

    public static UserNamespaces Of(SafeFileHandle network)
    {
        UserNamespaces result = new();
        for (SafeFileHandle? space = Related(network, GetUserNamespace); space is not null;)
        {
            using SafeFileHandle current = space;
            result._chain.Add((InodeOf(current), OwnerUid(current)));
            space = Related(current, GetParent);
        }
        return result;
    }

    /// <summary>Whether it is ruled by the owner of another network namespace, or by one below that: rights there are rights here.</summary>
    public bool IsWithin(UserNamespaces other) => other._chain.Count > 0 && _chain.Exists(space => space.Inode == other._chain[0].Inode);

    /// <summary><see cref="CapabilitiesOf(int, in ProcStatus)"/> for a thread that is asked often.</summary>
    public ulong CapabilitiesOf(ThreadView thread)
    {
        // In the owner's namespace its effective set decides. Anything else is rare, and takes the longer way.
        if (_chain.Count > 0 && _chain[0].Inode == thread.UserNamespace)
        {
            return thread.EffectiveCapabilities ?? 0;
        }
        return ProcStatus.TryRead(thread.Tid, out ProcStatus status) ? CapabilitiesOf(thread.Tid, status) : 0;
    }

    public bool Allow(int tid, in ProcStatus status, int capability) => (CapabilitiesOf(tid, status) >> capability & 1) != 0;

    /// <summary>
    /// What a thread may do here, a bit each. As <c>cap_capable</c> (security/commoncap.c): from the owner upwards, until the thread's own namespace is met (its effective set
    /// decides) or the parent of one that its user made (it has all capabilities there).
    /// </summary>
    public ulong CapabilitiesOf(int tid, in ProcStatus status)
    {
        ulong own = ProcFile.ReadInode(string.Create(CultureInfo.InvariantCulture, $"/proc/{tid}/ns/user"), "user"u8, out _);
        for (int i = 0; i < _chain.Count; i++)
        {
            if (_chain[i].Inode == own)
            {
                return status.EffectiveCapabilities;
            }
            if (i + 1 < _chain.Count && _chain[i + 1].Inode == own && _chain[i].OwnerUid == status.EffectiveUid)
            {
                return ulong.MaxValue;
            }
        }
        return 0;
    }

    private static ulong InodeOf(SafeFileHandle space) =>
        ProcFile.ReadInode(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{space.DangerousGetHandle()}"), "user"u8, out _);

    private static SafeFileHandle? Related(SafeFileHandle space, int request)
    {
        int fd = ioctl((int)space.DangerousGetHandle(), request);
        return fd < 0 ? null : new SafeFileHandle(fd, ownsHandle: true);
    }

    private static unsafe uint OwnerUid(SafeFileHandle space)
    {
        uint uid;
        return ioctl((int)space.DangerousGetHandle(), GetOwnerUid, &uid) == 0 ? uid : uint.MaxValue;
    }
}
