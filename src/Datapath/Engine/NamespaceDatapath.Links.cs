using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Engine;

// The interfaces of if_ids that programs make and delete (ip link add … type xfrm).
public sealed partial class NamespaceDatapath
{
    private readonly Dictionary<SteeringDevice, WorkerThread> _outboundThreads = [];

    /// <summary>Under the namespace's gate: see <see cref="ISocketHooks.CreateLink"/>.</summary>
    public Errno CreateLink(string name, uint ifId, out int ifindex)
    {
        ifindex = 0;
        return TryStart() ? _steering!.CreateLink(name, ifId, out ifindex) : Errno.EOPNOTSUPP;
    }

    /// <summary>Under the namespace's gate: see <see cref="ISocketHooks.DeleteLink"/>.</summary>
    public bool DeleteLink(int ifindex, string name) => _steering is { } steering && steering.DeleteLink(ifindex, name);

    /// <summary>Somebody deleted the interface behind our back: its queue is no more.</summary>
    private void DeviceVanished(SteeringDevice device) => ThreadPool.QueueUserWorkItem(_ =>
    {
        lock (_space.Gate)
        {
            if (!_disposed && !DeleteLink(device.Tun.Ifindex, device.Tun.Name))
            {
                _logger.DeviceVanished(device.Tun.Name);
            }
        }
    });

    /// <summary>No worker has the device in its hands when this returns.</summary>
    private void RemoveDevice(SteeringDevice device)
    {
        _devices = [.. _devices.Where(d => d != device)];
        if (_outboundThreads.Remove(device, out WorkerThread? outbound))
        {
            _outboundSweeps = _outboundSweeps.Remove(outbound);
            lock (_workersGate)
            {
                _workers = [.. _workers.Where(w => w != outbound)];
            }
            outbound.Dispose();
        }
        if (_inboundThread is { } inbound && _inboundForget is { } forget)
        {
            using ManualResetEventSlim done = new();
            inbound.Post(() =>
            {
                forget(device.IfId);
                done.Set();
            });
            done.Wait();
        }
    }
}
