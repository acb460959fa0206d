using System.Runtime.InteropServices;
using Xfrmd.Linux;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;

namespace Xfrmd.Datapath.Steering;

// Forwarded packets that an out policy covers by the source that netfilter has given them (SNAT, masquerading): Linux looks for a policy once more
// then (nf_xfrm_me_harder). Routing has been done with, so a program of eBPF takes them into the TUN at the link by which they would leave; where
// there is none they are dropped.
public sealed partial class NetfilterSteering
{
    private const int Loopback = 1;
    private MarkRedirect? _redirect;

    /// <summary>Whether a program of ours looks at what leaves by the link.</summary>
    public bool Redirects(int ifindex)
    {
        lock (_lock)
        {
            return _redirect?.Links.Contains(ifindex) == true;
        }
    }

    public void LinksChanged()
    {
        lock (_lock)
        {
            if (_redirect is null || _disposed)
            {
                return;
            }
            Dictionary<int, bool> others = _routes.Forwarding();
            others.Remove(Loopback);
            foreach (SteeringDevice device in _devices)
            {
                others.Remove(device.Tun.Ifindex);
            }
            // A host that forwards nothing needs none of it.
            int[] wanted = others.ContainsValue(true) ? [.. others.Keys] : [];
            int[] gone = [.. _redirect.Links.Except(wanted)], added = [.. wanted.Except(_redirect.Links)];
            if (gone.Length == 0 && added.Length == 0)
            {
                return;
            }
            // A link is named where its program is in force, and no longer.
            added = NetworkNamespace.Run(_netns, () => Array.FindAll(added, _redirect.TryAttach));
            _batch.DeleteElements(NetfilterBaseRules.Redirecting, gone.Select(Key));
            _batch.AddElements(NetfilterBaseRules.Redirecting, added.Select(Key));
            bool rewritten = CommitOrRewrite();
            DetachFrom(gone);
            if (rewritten && gone.Length > 0)
            {
                Rewrite();   // without them now
            }
        }
    }

    private void StartRedirecting()
    {
        try
        {
            _redirect = new MarkRedirect(_options.Marks.Emerged, _options.Marks.Shift, SteeringMarks.Classes);
            _redirect.SetDevice(0, _devices[0].Tun.Ifindex);
        }
        catch (LinuxException e)
        {
            _logger.CannotRedirect(e.Message);
        }
    }

    private void StopRedirecting()
    {
        DetachFrom([.. _redirect?.Links ?? []]);
        _redirect?.Dispose();
    }

    private void DetachFrom(int[] links)
    {
        if (links.Length > 0)
        {
            _ = NetworkNamespace.Run(_netns, () =>
            {
                Array.ForEach(links, _redirect!.Detach);
                return true;
            });
        }
    }

    private static ReadOnlyMemory<byte> Key(int ifindex) => MemoryMarshal.AsBytes<int>(new[] { ifindex }).ToArray();
}
