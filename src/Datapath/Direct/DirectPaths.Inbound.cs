using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging;
using Xfrmd.Datapath.Engine;
using Xfrmd.Datapath.Ports;
using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Routing;

namespace Xfrmd.Datapath.Direct;

// What arrives: rings of links in place of the raw sockets. A change of what the rings take goes like this: the twice filter begins (where a ring
// does not take by itself); the rings take the old and the new; netfilter is told the new; a second later, when all that was on its way has been handled, the rings take the new
// alone; another second later nothing waits in the raw sockets that a ring had too, and the filter ends.
public sealed partial class DirectPaths
{
    private const int MaxPairs = 1024;
    private static readonly TimeSpan SettleTime = TimeSpan.FromSeconds(1), IdleTime = TimeSpan.FromMinutes(5), AnswerTime = TimeSpan.FromSeconds(5);
    private readonly ConcurrentDictionary<DirectPair, string> _pairs = new();
    private readonly Dictionary<int, Ring> _rings = [];
    private DirectReceiver? _receiver;
    private DirectRules? _rules;
    private long? _changedAt;
    private bool _isSettling, _rulesFail, _mayTake = true;

    /// <summary>Who reads the rings. To be called before the receiver's thread starts.</summary>
    internal void Attach(DirectReceiver receiver)
    {
        _rules = new DirectRules(NetworkNamespace.Run(_netns, () => new NetfilterClient()), _tables[1]);
        _receiver = receiver;
    }

    /// <summary>Authentic packets come fast from a raw socket: see whether they must.</summary>
    internal void WantPair(in DirectPair pair)
    {
        if (_pairs.Count < MaxPairs && _pairs.TryAdd(pair, ""))
        {
            Invalidate();
        }
    }

    private void LookInbound(ForeignHooks hooks, Dictionary<int, LinkFacts> links, bool plain4, bool plain6, (bool V4, bool V6) othersRead)
    {
        if (_receiver is null)
        {
            return;
        }
        long now = Time.GetTimestamp();
        Dictionary<int, HashSet<DirectPair>> goal = [];
        List<(DirectPair Pair, string How, string Said)> news = [];
        foreach ((DirectPair pair, string how) in _pairs)
        {
            bool v4 = pair.Family == AddressFamily.Inet;
            int ifindex = 0;
            string? obstacle = _rulesFail ? "the kernel has no netfilter hook of devices"
                : (hooks & (ForeignHooks.Input | ForeignHooks.Ingress | ForeignHooks.Unknown)) != 0 ? "others have netfilter rules on the way in"
                : !(v4 ? plain4 : plain6) ? "a routing rule selects by more than addresses and marks"
                : (v4 ? othersRead.V4 : othersRead.V6) ? "another program has a raw socket for ESP"
                : FindLink(pair, links, out ifindex);
            if (obstacle is null)
            {
                if (!goal.TryGetValue(ifindex, out HashSet<DirectPair>? those))
                {
                    goal.Add(ifindex, those = []);
                }
                those.Add(pair);
            }
            string said = obstacle is not null ? "raw socket: " + obstacle : Takes(ifindex) ? "directly (eBPF)" : "directly";
            if (said != how)
            {
                news.Add((pair, how, said));
            }
        }
        foreach ((int ifindex, Ring ring) in _rings)
        {
            if (Time.GetElapsedTime(ring.Port.UsedAt, now) > IdleTime && goal.Remove(ifindex, out HashSet<DirectPair>? idle))
            {
                foreach (DirectPair pair in idle)
                {
                    _pairs.TryRemove(pair, out _);
                }
            }
        }
        if (IsOther(goal))
        {
            if (!TryChange(goal, links) || _rulesFail)
            {
                return;   // told when it is true
            }
        }
        else if (_changedAt is { } changedAt && Time.GetElapsedTime(changedAt, now) >= SettleTime)
        {
            Settle();
        }
        foreach ((DirectPair pair, string how, string said) in news)
        {
            if (_pairs.TryUpdate(pair, said, how))
            {
                (IPAddress from, IPAddress to) = (new(pair.Source.Bytes()), new(pair.Destination.Bytes()));
                _logger.Arrives(from, to, said);
            }
        }
    }

    /// <summary>
    /// The link by which packets of the pair come, if the host takes them without looking further: to an address of its own, from where the
    /// route back leads to (so that a strict reverse path filter is content).
    /// </summary>
    private string? FindLink(in DirectPair pair, Dictionary<int, LinkFacts> links, out int ifindex)
    {
        ifindex = 0;
        byte[] saddr = pair.Source.Bytes(), daddr = pair.Destination.Bytes();
        if (_survey.FindRoute(daddr, default, 0) is not { IsLocal: true })
        {
            return "its destination is no address of this host";
        }
        if (_survey.FindRoute(saddr, daddr, 0) is not { IsUnicast: true } back)
        {
            return "no single unicast route leads back";
        }
        ifindex = back.Ifindex;
        return links.TryGetValue(ifindex, out LinkFacts? link) && link is { IsEthernet: true, HasUpper: false, HasIngressQdisc: false }
            ? null
            : "its interface is no Ethernet that stands for itself";
    }

    private bool Takes(int ifindex) => _rings.TryGetValue(ifindex, out Ring? ring) ? ring.Taking is not null : _mayTake;

    private bool IsOther(Dictionary<int, HashSet<DirectPair>> goal) =>
        _rings.Values.Count(r => r.Pairs.Count > 0) != goal.Count
        || goal.Any(g => !_rings.TryGetValue(g.Key, out Ring? ring) || !ring.Pairs.SetEquals(g.Value));

    /// <summary>False: the receiver has been busy for long, and nothing has changed; to be tried at the next look.</summary>
    private bool TryChange(Dictionary<int, HashSet<DirectPair>> goal, Dictionary<int, LinkFacts> links)
    {
        DirectReceiver receiver = _receiver!;
        try
        {
            foreach (int ifindex in goal.Keys.Where(i => !_rings.ContainsKey(i)))
            {
                ILinkRing opened = NetworkNamespace.Run(_netns, () => OpenRing(ifindex));
                Ring ring = new(links[ifindex].Name, new RingArrivalPort(opened, receiver.Filter), opened as TakingRing);
                _rings.Add(ifindex, ring);
                receiver.Thread.Post(() => receiver.Add(ring.Port));
            }
        }
        catch (LinuxException e)
        {
            _logger.CannotReceiveDirectly(e.Message);
            _rulesFail = true;
            goal.Clear();
        }
        bool isTwice = _rings.Values.Any(static r => r.Taking is null);
        if (!OnReceiver(() => receiver.Begin(isTwice)))
        {
            return false;
        }
        (_changedAt, _isSettling) = (Time.GetTimestamp(), false);
        foreach ((int ifindex, Ring ring) in _rings)
        {
            HashSet<DirectPair> wanted = goal.GetValueOrDefault(ifindex) ?? [];
            ring.Port.Pairs = [.. ring.Port.Pairs.Union(wanted)];
            ring.Next = wanted;
        }
        int errno = _rules!.Write([.. _rings.Values.Where(r => r.Taking is null && r.Next.Count > 0).Select(r => (r.Device, (IReadOnlyCollection<DirectPair>)r.Next))]);
        if (errno == 0)
        {
            Action[] changes = [.. _rings.Values.Where(static r => r.Taking is not null && !r.Pairs.SetEquals(r.Next)).Select(static r => r.TakeNext())];
            if (changes.Length > 0)
            {
                _ = OnReceiver(() => receiver.Take(() => Array.ForEach(changes, static change => change())));
            }
            foreach (Ring ring in _rings.Values)
            {
                ring.Pairs = ring.Next;
            }
        }
        else
        {
            // What was in force stays so; what could not come into force is not tried again.
            _logger.CannotReceiveDirectly("nf_tables: errno " + errno.ToString(System.Globalization.CultureInfo.InvariantCulture));
            _rulesFail = goal.Count > 0;
        }
        _changedAt = Time.GetTimestamp();
        return true;
    }

    private void Settle()
    {
        if (!_isSettling)
        {
            foreach (Ring ring in _rings.Values)
            {
                ring.Port.Pairs = ring.Pairs;
            }
            (_changedAt, _isSettling) = (Time.GetTimestamp(), true);
            return;
        }
        DirectReceiver receiver = _receiver!;
        if (!OnReceiver(receiver.End))
        {
            return;
        }
        (_changedAt, _isSettling) = (null, false);
        foreach ((int ifindex, Ring ring) in _rings.ToArray())
        {
            if (ring.Pairs.Count == 0 && OnReceiver(() => receiver.Remove(ring.Port)))
            {
                _rings.Remove(ifindex);
                ring.Port.Dispose();
            }
        }
    }

    /// <summary>Runs something on the receiving thread between two batches. False: it has not happened in time, but will.</summary>
    private bool OnReceiver(Action action)
    {
        using ManualResetEventSlim done = new();
        _receiver!.Thread.Post(() =>
        {
            action();
            done.Set();
        });
        return done.Wait(AnswerTime);
    }

    /// <summary>The sockets of rings, that look at links for us.</summary>
    private ulong[] OurLinkReaders() => [.. _rings.Values.Where(static r => r.Taking is null).Select(static r => FileNumber.Of(r.Port.Ring.Handle))];

    private void DisposeInbound()
    {
        _rules?.Dispose();
        foreach (Ring ring in _rings.Values)
        {
            ring.Port.Dispose();
        }
        _rings.Clear();
    }

    /// <summary>One that takes what it has, where the kernel can and we may; else one beside which netfilter drops.</summary>
    private ILinkRing OpenRing(int ifindex)
    {
        if (_mayTake)
        {
            try
            {
                return new TakingRing(ifindex);
            }
            catch (LinuxException e)
            {
                const int NoSuchLink = 19;   // ENODEV: gone meanwhile
                _mayTake = e.Errno == NoSuchLink;
                _logger.CannotTake(e.Message);
            }
        }
        PacketRing ring = new();
        ring.Bind(ifindex);
        return ring;
    }

    private sealed class Ring(string device, RingArrivalPort port, TakingRing? taking)
    {
        public string Device => device;

        public RingArrivalPort Port => port;

        /// <summary>The same that the port reads, where it takes by itself; null: netfilter drops what it had.</summary>
        public TakingRing? Taking => taking;

        /// <summary>What reaches no raw socket.</summary>
        public HashSet<DirectPair> Pairs { get; set; } = [];

        public HashSet<DirectPair> Next { get; set; } = [];

        /// <summary>What makes it take what is next in place of what it takes now.</summary>
        public Action TakeNext()
        {
            DirectPair[] more = [.. Next.Except(Pairs)], fewer = [.. Pairs.Except(Next)];
            return () =>
            {
                Array.ForEach(more, pair => taking!.Take([.. pair.Source.Bytes(), .. pair.Destination.Bytes()]));
                Array.ForEach(fewer, pair => taking!.Leave([.. pair.Source.Bytes(), .. pair.Destination.Bytes()]));
            };
        }
    }
}
