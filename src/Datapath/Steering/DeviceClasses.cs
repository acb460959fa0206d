using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// Numbers for what a TUN cannot tell about a packet: the mark and interface that its policy asks for. Class 0 asks for nothing. A number
/// stays given for as long as steering lives.
/// </summary>
internal sealed class DeviceClasses
{
    private readonly Dictionary<(XfrmMark Mark, int Interface), int> _numbers = new() { [default] = 0 };

    /// <summary>The class of a policy; null where all are taken.</summary>
    public int? NumberOf(Policy policy)
    {
        (XfrmMark, int) wanted = (policy.Mark, policy.Selector.Ifindex);
        if (_numbers.TryGetValue(wanted, out int number))
        {
            return number;
        }
        if (_numbers.Count == SteeringMarks.Classes)
        {
            return null;
        }
        return _numbers[wanted] = _numbers.Count;
    }
}
