using Xfrmd.Kernel;

namespace Xfrmd.PfKey;

/// <summary>Reqids for templates of level UNIQUE that name none: <c>gen_reqid</c>. One for all namespaces, as in Linux.</summary>
internal sealed class ReqidGenerator
{
    /// <summary><c>IPSEC_MANUAL_REQID_MAX</c>: what is above is ours to give.</summary>
    public const uint ManualMax = 0x3fff;

    private readonly Lock _gate = new();
    private uint _last = ManualMax;

    /// <summary>The next number that no template has; 0 where there is none.</summary>
    public uint Next(Spd policies)
    {
        HashSet<uint> taken = [];
        using (DatabaseWalk<Policy> walk = policies.Walk())
        {
            for (; walk.Peek() is { } policy; walk.Advance())
            {
                if (policy.Type == PolicyType.Main)
                {
                    taken.UnionWith(policy.TemplateArray.Select(static t => t.Reqid));
                }
            }
        }
        lock (_gate)
        {
            uint start = _last;
            do
            {
                if (++_last == 0)
                {
                    _last = ManualMax + 1;
                }
                if (!taken.Contains(_last))
                {
                    return _last;
                }
            }
            while (_last != start);
            return 0;
        }
    }
}
