using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// Numbers for what a TUN cannot tell about a packet: the mark and interface that its policy asks for, or the socket that sent it. Class 0 asks
/// for nothing. A number stays given for as long as steering lives.
/// </summary>
internal sealed class DeviceClasses
{
    private readonly Dictionary<(XfrmMark Mark, int Interface), int> _numbers = new() { [default] = 0 };
    private int _given = 1;

    /// <summary>The class of a policy; null where all are taken.</summary>
    public int? NumberOf(Policy policy)
    {
        (XfrmMark, int) wanted = (policy.Mark, policy.Selector.Ifindex);
        if (_numbers.TryGetValue(wanted, out int number))
        {
            return number;
        }
        if (Take() is not { } taken)
        {
            return null;
        }
        return _numbers[wanted] = taken;
    }

    /// <summary>A number that no policy of the SPD has; null where all are taken.</summary>
    public int? Take() => _given == SteeringMarks.Classes ? null : _given++;
}
