using System.Collections.Concurrent;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// MTUs that the kernel's routing has learned from our own answers to senders on this host. In Linux such a sender sees the MTU of its
/// bundle, and the route below keeps its own (<c>xfrm_mtu</c>); here both read one exception of the route to the peer, and without this
/// each answer would make the next one smaller.
/// </summary>
public sealed class MtuEchoes
{
    private const int MaxDestinations = 4096;
    private readonly ConcurrentDictionary<(XfrmAddress Daddr, ushort Family), (int Told, int Path)> _echoes = new();

    public void Remember(in XfrmAddress daddr, ushort family, int told, int path)
    {
        if (_echoes.Count >= MaxDestinations)
        {
            _echoes.Clear();
        }
        _echoes[(daddr, family)] = (told, path);
    }

    /// <summary>What stood there before our answer, where the number is the one that we told.</summary>
    public int Undo(in XfrmAddress daddr, ushort family, int mtu) =>
        _echoes.TryGetValue((daddr, family), out (int Told, int Path) echo) && echo.Told == mtu ? echo.Path : mtu;
}
